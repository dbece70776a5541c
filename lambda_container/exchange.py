"""One HTTP request over an open connection. A deadline bounds every wait, a limit every body.

httptools parses the answer: the standard library's parser imports all of `email` for the headers, a sixth of a cold
start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lambda_container.deadline import Deadline

if TYPE_CHECKING:
    from lambda_container.protocols import Stream

CHUNK = 65536  # bytes
MAX_HEADERS, MAX_HEAD = 100, 65536  # of an answer: number of headers, bytes of the head

_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f]")


class Request(NamedTuple):
    """`path` is encoded and includes the query; `headers` include Host."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Response(NamedTuple):
    """`headers` have lower-case names; `reusable`: the connection can carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


class UnansweredError(ConnectionError):
    """The connection closed before the first byte of an answer."""


class BrokenAnswerError(ConnectionError):
    """The received bytes are not an HTTP answer, or only a part of one."""


class TooLargeError(Exception):
    """The body is larger than the limit."""


def exchange(stream: Stream, request: Request, deadline: Deadline, limit: int) -> Response:
    """Sends `request` and reads the answer with at most `limit` bytes of body. The body of a redirect is not read.

    Raises TimeoutError at the deadline, UnansweredError, BrokenAnswerError, TooLargeError, OSError.
    """
    try:
        stream.settimeout(deadline.remaining())
        stream.sendall(_encoded(request))
        data = _receive(stream, deadline)
    except TimeoutError:
        raise
    except OSError as error:
        raise UnansweredError(str(error)) from error
    if not data:
        raise UnansweredError("the connection was closed without an answer")
    answer = _Answer(limit)
    while not answer.feed(data):
        data = _receive(stream, deadline)
    return answer.response()


def _encoded(request: Request) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    if " " in request.path or any(map(_UNSENDABLE.search, lines)):
        raise ValueError(f"the request line or a header has a space or control character: {lines!r}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1") + request.body


def _receive(stream: Stream, deadline: Deadline) -> bytes:
    """The next bytes, b"" at the end. A wait lasts only until the deadline, so a trickle of bytes gains no time."""
    stream.settimeout(deadline.remaining())
    return stream.recv(CHUNK)


class _Answer:
    """Gathers one answer as its bytes arrive; httptools calls the on_ methods."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._status = self._fields = self._head = 0
        self._begun = self._complete = self._reusable = False  # begun: the final answer's head is complete

    def feed(self, data: bytes) -> bool:
        """Whether the answer is complete. b"" is the connection's end. Raises BrokenAnswerError, TooLargeError."""
        if not data:
            self._end()
            return True
        if not self._begun:
            if self._head >= MAX_HEAD:
                raise BrokenAnswerError(f"the head of the answer is larger than {MAX_HEAD} bytes")
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._complete:  # bytes after the complete answer do not matter
                raise BrokenAnswerError(f"the answer is not valid HTTP: {error}") from None
            self._reusable = False
        if self._fields > MAX_HEADERS:
            raise BrokenAnswerError(f"the answer has more than {MAX_HEADERS} headers")
        if self._begun and 300 <= self._status < 400:
            self._body.clear()  # some of it may have arrived with the head
            return True
        if len(self._body) > self._limit or (self._begun and self._announced() > self._limit):
            raise TooLargeError
        return self._complete

    def response(self) -> Response:
        del self._parser  # breaks a reference cycle, which would keep the body until the garbage collector runs
        return Response(self._status, self._headers, bytes(self._body), self._reusable and self._complete)

    def _end(self) -> None:
        """The connection has closed, which ends only a body without an announced length."""
        if not self._begun or "content-length" in self._headers or "transfer-encoding" in self._headers:
            raise BrokenAnswerError(f"the connection was closed after {len(self._body)} bytes of the answer's body")

    def _announced(self) -> int:
        return int(self._headers.get("content-length", 0))  # httptools has checked that it is a number

    def on_message_begin(self) -> None:
        if self._complete:
            self._reusable = False  # an answer without a request

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if not self._begun:  # trailers after the chunks must not replace headers
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        if self._status < 200:  # an interim answer: the final one follows
            self._headers.clear()
        else:
            self._begun, self._reusable = True, self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._body += body

    def on_message_complete(self) -> None:
        self._complete = self._begun
