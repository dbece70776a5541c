"""Why a request could not be answered, as the caller gets to read it."""

from __future__ import annotations


class RequestError(Exception):
    """A typed refusal or failure.

    `status` is the HTTP status of the answer, `code` a stable word for programs, `message` one or two lines for people.
    `original_status` is what the other side (endpoint, storage, the picture's server) had answered, `retry_after` the
    seconds after which trying again makes sense.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        original_status: int | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message.encode("utf-8", "replace").decode()  # JSON in an event can hold halves of characters
        self.original_status = original_status
        self.retry_after = retry_after

    def fields(self) -> dict[str, object]:
        """What stands under "error" in the answer."""
        found: dict[str, object] = {"code": self.code, "message": self.message}
        if self.original_status is not None:
            found["original_status"] = self.original_status
        return found
