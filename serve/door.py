"""What every answer gets, and the door before Flask: in an overload most of what comes is refused, so that must cost
little (CONTRACTS 30, 31, 39)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from serve import codec
from serve.admission import Admission, RefusedError
from serve.answers import JSON
from serve.metrics import Metrics

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
DISCARD_SECONDS, DISCARD_BYTES = 5.0, 64 * 1024 * 1024
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
log = logging.getLogger("kennel.serve")


class Door:
    """The application, but that POST /invocations is refused here while admission has no room for one picture more."""

    def __init__(self, inside: Application, admission: Admission, metrics: Metrics) -> None:
        self._inside, self._admission, self._metrics = inside, admission, metrics

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/invocations" and environ["REQUEST_METHOD"] == "POST":
            started = time.perf_counter()
            try:
                self._admission.check()
            except RefusedError as error:
                return self._refused(error, environ, start_response, started)
        return self._inside(environ, start_response)

    def _refused(
        self, error: RefusedError, environ: Environ, start_response: Callable[..., Any], started: float
    ) -> Iterable[bytes]:
        discard(environ["wsgi.input"])
        body = codec.error_body(error.code, str(error))
        headers = {"Content-Type": JSON, "Content-Length": str(len(body)), **retry(error)}
        headers |= always(environ.get("HTTP_" + ATTRIBUTES.upper().replace("-", "_"), ""))
        start_response("503 SERVICE UNAVAILABLE", list(headers.items()))
        self._metrics.refused(error.code)
        observe(self._metrics, "POST", "/invocations", 503, time.perf_counter() - started, error=error.code)
        return [body]


def retry(error: RefusedError) -> dict[str, str]:
    """When it is worth asking again."""
    return {"Retry-After": str(error.seconds)}


def always(attributes: str) -> dict[str, str]:
    """The headers of each answer; `attributes` came with the request and return only if the container sets them."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if 0 < len(attributes) <= 1024 and attributes.isascii() and attributes.isprintable():
        headers[ATTRIBUTES] = attributes
    return headers


def observe(
    metrics: Metrics, method: str, path: str, status: int, seconds: float, *, pictures: int = 0, error: str = ""
) -> None:
    """Counts one answer, and tells it in the log."""
    metrics.answered(path, status, seconds)
    level = logging.DEBUG if path in ("/ping", "/metrics") else logging.INFO
    said = f" error={error}" if error else ""
    log.log(level, "%s %s %d %.1f ms pictures=%d%s", method, path, status, seconds * 1000, pictures, said)


def discard(stream: Any) -> None:
    """Reads what a refused caller still sends, within bounds: closed earlier, it would see a reset and no reason."""
    end = time.monotonic() + DISCARD_SECONDS
    left = DISCARD_BYTES
    while left > 0 and time.monotonic() < end:
        try:
            data = stream.read(65536)
        except (OSError, ValueError):
            return
        if not data:
            return
        left -= len(data)
