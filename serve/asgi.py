"""Requests and answers over ASGI, as far as the routes need them. A faulty request raises BadRequestError."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from serve.caller import Caller
from serve.errors import BadRequestError
from serve.negotiation import JSON

CONNECTION = "kennel.connection"  # the scope extension under which the worker passes a serve.caller.Connection
DISCARD_SECONDS, DISCARD_BYTES = 5.0, 64 * 1024 * 1024
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Answer(NamedTuple):
    """`headers` are added to content-type and content-length; `error` (a code) and `pictures` go to the log."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}
    error: str = ""
    pictures: int = 0


class Request:
    """One request, to be answered within `seconds`. Header names are lower-case; the values of a repeated header are
    joined with commas (RFC 9110, 5.3)."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, *, seconds: float) -> None:
        self.started, self.seconds = time.perf_counter(), seconds
        connection = scope.get("extensions", {}).get(CONNECTION)
        self.caller = Caller(deadline=self.started + seconds, connection=connection)
        self.method, self.path = str(scope["method"]), str(scope["path"])
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]},{text}" if key in self.headers else text
        self.query: str = scope["query_string"].decode("latin-1")
        self._receive, self._more, self._begun = receive, True, False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    async def body(self, limit: int) -> bytes:
        """The whole body, with or without a Content-Length. Raises BadRequestError when it has more than `limit` bytes
        or does not arrive while the caller waits."""
        announced, size = int(self.headers.get("content-length", 0)), 0
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self.caller.seconds_left()):
                while self._more and max(size, announced) <= limit:
                    parts.append(await self._part())
                    size += len(parts[-1])
        except TimeoutError:
            raise _incomplete(size, announced, f"within {self.seconds:g} s") from None
        except ConnectionError:
            raise _incomplete(size, announced, "before the caller left") from None
        if max(size, announced) > limit:
            raise BadRequestError("body-too-large", f"the body is larger than {limit:,} bytes: send less")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def discard(self) -> None:
        """Reads, within bounds, what a refused caller still sends: if the server closed the connection earlier, the
        caller would see a reset instead of the error.

        A caller that waits for `100 Continue` has sent no body yet; reading would make it send one.
        """
        remaining = 0 if "expect" in self.headers and not self._begun else DISCARD_BYTES
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while self._more and remaining > 0:
                    remaining -= len(await self._part())

    async def _part(self) -> bytes:
        self._begun = True
        message = await self._receive()
        if message["type"] != "http.request":
            self._more = False
            raise ConnectionResetError
        self._more = bool(message.get("more_body"))
        return bytes(message.get("body", b""))


async def send_answer(send: Send, answer: Answer, headers: Mapping[str, str], *, head: bool = False) -> None:
    """Sends an answer, without its body where `head` is true. Gunicorn writes head and body in one piece."""
    lines = {"content-type": answer.content_type, "content-length": str(len(answer.body)), **answer.headers, **headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def _incomplete(size: int, announced: int, when: str) -> BadRequestError:
    received = f"{size:,} of {announced:,} bytes" if announced else f"{size:,} bytes and not the last"
    return BadRequestError("incomplete", f"the whole body did not arrive: {received} {when}; send it again")
