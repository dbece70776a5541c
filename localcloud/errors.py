"""ApiError answers a request that fails; LocalcloudError tells a person why localcloud itself cannot work."""

from typing import Any


class ApiError(Exception):
    """An AWS error response: code (`ValidationException`), message, HTTP status, and members of the error's model.

    `status=None`: the status that botocore's model gives the code, else 400.
    """

    def __init__(self, code: str, message: str, status: int | None = None, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class LocalcloudError(Exception):
    """Something on this machine prevents localcloud from working. The message says where, what, and the fix."""
