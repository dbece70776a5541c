"""WSGI environments read, and Responses sent."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

from localcloud.gateway.protocol import Response

StartResponse = Callable[..., Any]
WSGI = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def request_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = str(environ[key])
    return headers


def take_body(environ: dict[str, Any]) -> bytes:
    """The whole body. It stays readable in `environ`, so that moto can read it too."""
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        body: bytes = stream.read(int(length))
    else:
        body = stream.read() if environ.get("wsgi.input_terminated") else b""
        environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = BytesIO(body)
    return body


def send(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    headers = list(response.headers.items())
    if isinstance(response.body, bytes):
        headers.append(("Content-Length", str(len(response.body))))
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    start_response(f"{response.status} {reason}", headers)
    return [response.body] if isinstance(response.body, bytes) else response.body
