"""Every error that the function answers: one table, and the exception that names a code in it."""

from __future__ import annotations

# Code: the HTTP status of the answer and its meaning. Plain tuples, because a class for them would delay a cold start.
ERRORS: dict[str, tuple[int, str]] = {
    "bad-event": (400, "The event or request names no picture in a known form, or names it wrongly."),
    "bad-url": (400, "The URL cannot be read, holds a user name, or redirects to something that is no URL."),
    "address-not-allowed": (403, "The URL's host is not at a public address, or is a disguised IP address."),
    "port-not-allowed": (403, "The URL names a port other than 443 and 80."),
    "scheme-not-allowed": (403, "The URL is not https://, or redirects from https:// to another scheme."),
    "method-not-allowed": (405, "The HTTP method is not GET, POST or OPTIONS."),
    "picture-too-large": (413, "The picture is larger than KENNEL_MAX_BYTES or than the endpoint accepts."),
    "unsupported-type": (415, "The content type, or the picture's format, is not supported."),
    "empty-picture": (422, "The picture has no bytes."),
    "unusable-picture": (
        422,
        "The endpoint cannot use the picture; the answer has the endpoint's own code if it sent one.",
    ),
    "endpoint-refused": (424, "SageMaker refused the call, for instance because the endpoint does not exist."),
    "model-error": (424, "The model's container failed."),
    "storage-refused": (424, "S3 refused the download: the bucket, the key or the function's permissions are wrong."),
    "endpoint-busy": (429, "SageMaker or the model's container throttles requests; try again later."),
    "bad-answer": (502, "The endpoint's answer is too large or is not that of Kennel's serving image."),
    "endpoint-failed": (502, "SageMaker failed with a status of 500 or above."),
    "endpoint-unreachable": (502, "The connection to SageMaker failed."),
    "fetch-failed": (502, "The picture's server could not be reached, or did not answer with the picture."),
    "storage-failed": (502, "S3 failed with a status of 500 or above."),
    "storage-unreachable": (502, "The connection to S3 failed."),
    "too-many-redirects": (502, "The URL redirects more often than the function follows."),
    "endpoint-unavailable": (503, "The endpoint has no capacity now, for instance while it starts; try again later."),
    "storage-busy": (503, "S3 asks to slow down; try again later."),
    "endpoint-timeout": (504, "The endpoint did not answer in the time that the function has."),
    "fetch-timeout": (504, "The picture's server did not send the picture in time."),
    "storage-timeout": (504, "S3 did not send the picture in time."),
}


class RequestError(Exception):
    """A request that gets an error answer.

    `code` is a key of ERRORS, which gives `status`; `message` says in one or two lines what happened and what to send
    instead. `endpoint_code` replaces the code in the answer by that of the model's container. `original_status` is the
    status that the other side (endpoint, storage, the picture's server) answered. `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        endpoint_code: str | None = None,
        original_status: int | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = ERRORS[code][0]
        self.code = code if endpoint_code is None else endpoint_code
        self.message = message.encode("utf-8", "replace").decode()  # JSON in an event can hold lone surrogates
        self.original_status = original_status
        self.retry_after = retry_after

    def fields(self) -> dict[str, object]:
        """The value of "error" in the answer."""
        fields: dict[str, object] = {"code": self.code, "message": self.message}
        if self.original_status is not None:
            fields["original_status"] = self.original_status
        return fields
