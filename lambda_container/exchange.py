"""One HTTP request over one open connection: every wait bounded by a deadline, every body by a size."""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lambda_container.deadline import Deadline

if TYPE_CHECKING:
    from lambda_container.protocols import Stream

CHUNK = 65536  # bytes


class Request(NamedTuple):
    """`path` holds the query too and is already encoded; `headers` hold the host."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Response(NamedTuple):
    """`headers` have lower-case names; `reusable` says that the connection can carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


class UnansweredError(ConnectionError):
    """The connection ended before the first line of an answer."""


class TooLargeError(Exception):
    """The body is over the limit."""


def exchange(stream: Stream, request: Request, deadline: Deadline, limit: int) -> Response:
    """Sends `request` and reads the answer, at most `limit` bytes of body.

    Raises TimeoutError at the deadline, UnansweredError, TooLargeError, http.client.HTTPException, OSError.
    """
    connection = http.client.HTTPConnection("unused")
    connection.auto_open = 0
    connection.sock = _Timed(stream, deadline)
    try:
        _send(connection, request)
        answer = connection.getresponse()
    except TimeoutError:
        raise
    except OSError as error:
        raise UnansweredError(str(error)) from error
    reusable = not answer.will_close
    with answer:
        body = _read(answer, limit) if answer.status < 300 or answer.status >= 400 else b""
        complete = answer.isclosed()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Response(answer.status, headers, body, reusable and complete)


def _send(connection: http.client.HTTPConnection, request: Request) -> None:
    connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.endheaders(request.body or None)


def _read(answer: http.client.HTTPResponse, limit: int) -> bytes:
    if answer.length is not None and answer.length > limit:
        raise TooLargeError
    body = bytearray()
    while chunk := answer.read(min(CHUNK, limit + 1 - len(body))):
        body += chunk
        if len(body) > limit:
            raise TooLargeError
    if answer.length:  # reads of a stated size end early without a word
        raise http.client.IncompleteRead(bytes(body), answer.length)
    return bytes(body)


class _Timed:
    """A socket as http.client wants it, which allows each wait only what is left: a trickle of bytes gains no time."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._stream.settimeout(self._deadline.remaining())
        self._stream.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._stream, self._stream.makefile(mode, 0), self._deadline))

    def close(self) -> None:
        """The connection belongs to who opened it."""


class _TimedReader(io.RawIOBase):
    def __init__(self, stream: Stream, raw: Any, deadline: Deadline) -> None:
        super().__init__()
        self._stream = stream
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._stream.settimeout(self._deadline.remaining())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
