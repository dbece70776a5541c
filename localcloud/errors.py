"""What a request is answered with when it cannot be granted, and what a person reads when localcloud cannot work."""

from typing import Any


class ApiError(Exception):
    """An AWS error answer: code (`ValidationException`), message, HTTP status, and members of the modelled error.

    `status=None` takes the status that botocore's model gives the code, else 400.
    """

    def __init__(self, code: str, message: str, status: int | None = None, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class LocalcloudError(Exception):
    """Something on this machine stands in the way; the message says where, what and the fix."""
