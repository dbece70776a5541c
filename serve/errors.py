"""Every error that the server answers: one table, and the exceptions that name a code in it.

An error answer is JSON: {"error": {"code": "…", "message": "…"}}. Programs compare the code; people read the message.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class ErrorKind(NamedTuple):
    """The HTTP status of an error and its meaning in one line."""

    status: int
    meaning: str


ERRORS: Mapping[str, ErrorKind] = {
    "bad-base64": ErrorKind(400, "A picture in the JSON body is not valid base64."),
    "bad-form": ErrorKind(400, "The multipart form is malformed, cut off, or has too many parts."),
    "bad-json": ErrorKind(400, "The body is not JSON, or not one of the JSON shapes that hold pictures."),
    "bad-option": ErrorKind(400, "The form or top_k option has a value that does not exist."),
    "empty": ErrorKind(400, "The request holds no picture, or a picture holds no bytes or no pixels."),
    "incomplete": ErrorKind(400, "The caller stopped sending, or left, before the whole body had arrived."),
    "not-found": ErrorKind(404, "The server has no such path."),
    "method-not-allowed": ErrorKind(405, "The path exists but does not take this method; see the Allow header."),
    "not-acceptable": ErrorKind(406, "The Accept header allows none of the media types that the server writes."),
    "body-too-large": ErrorKind(413, "The body is larger than KENNEL_MAX_BODY_BYTES."),
    "too-many-pictures": ErrorKind(413, "The request holds more pictures than KENNEL_MAX_PICTURES."),
    "unsupported-encoding": ErrorKind(
        415, "The body has a Content-Encoding; the server reads uncompressed bodies only."
    ),
    "unsupported-type": ErrorKind(415, "The server does not read this Content-Type."),
    "not-a-picture": ErrorKind(422, "The bytes are not a picture in a supported format, or cannot be resized."),
    "too-many-pixels": ErrorKind(422, "The picture has more pixels than KENNEL_MAX_PIXELS."),
    "truncated": ErrorKind(422, "The picture is damaged or cut off."),
    "internal": ErrorKind(500, "The server failed; its log has the traceback."),
    "busy": ErrorKind(503, "KENNEL_MAX_REQUESTS requests are in progress already."),
    "caller-left": ErrorKind(503, "The caller closed the connection before its pictures were classified."),
    "loading": ErrorKind(503, "The model is still loading."),
    "overloaded": ErrorKind(503, "The request would wait longer than KENNEL_MAX_WAIT for earlier requests."),
    "queue-full": ErrorKind(503, "KENNEL_MAX_WAITING pictures are in progress already."),
    "stopping": ErrorKind(503, "The server is shutting down."),
    "too-slow": ErrorKind(503, "The pictures were not classified within the server's time limit for an answer."),
}


class RequestError(Exception):
    """A request that gets an error answer: `code` is a key of ERRORS, the text says what happened and what to do."""

    retry_after: int | None = None  # seconds

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        return ERRORS[self.code].status


class BadRequestError(RequestError):
    """The caller has to change the request (4xx)."""


class UnavailableError(RequestError):
    """The server cannot take the request now; the caller may repeat it after `seconds` (503 with Retry-After)."""

    def __init__(self, code: str, message: str, seconds: float = 1.0) -> None:
        super().__init__(code, message)
        self.retry_after = max(1, math.ceil(seconds))
