"""A request and an answer over ASGI: the little that our routes need. A caller's mistake is a BadRequestError."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from serve.answers import JSON
from serve.codec import BadRequestError

LEFT = "kennel.left"  # our worker's extension of the scope: says whether the caller has closed the connection
DISCARD_SECONDS, DISCARD_BYTES = 5.0, 64 * 1024 * 1024
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Answer(NamedTuple):
    """`headers` come beside type and length; `error` and `pictures` are told in the log."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}
    error: str = ""
    pictures: int = 0


class Request:
    """One request: names of headers in lower case, one that came twice joined by a comma (RFC 9110, 5.3)."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.started = time.perf_counter()
        self.method, self.path = str(scope["method"]), str(scope["path"])
        self.left: Callable[[], bool] = scope.get("extensions", {}).get(LEFT, _never)
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]},{text}" if key in self.headers else text
        self.query: str = scope["query_string"].decode("latin-1")
        self._receive, self._more, self._begun = receive, True, False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    async def body(self, limit: int, *, seconds: float) -> bytes:
        """The whole body, announced or streamed. Raises BadRequestError beyond `limit` bytes or `seconds`."""
        announced, size = int(self.headers.get("content-length", 0)), 0
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                while self._more and max(size, announced) <= limit:
                    parts.append(await self._part())
                    size += len(parts[-1])
        except TimeoutError:
            raise _incomplete(size, announced, f"within {seconds:g} s") from None
        except ConnectionError:
            raise _incomplete(size, announced, "before the caller left") from None
        if max(size, announced) > limit:
            raise BadRequestError(413, "body-too-large", f"the body is larger than {limit:,} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def discard(self) -> None:
        """Reads what a refused caller still sends, within bounds: closed earlier, it would see a reset and no reason.

        Who waits to be told to go on (Expect) and was not yet has sent nothing, and is not told.
        """
        left = 0 if "expect" in self.headers and not self._begun else DISCARD_BYTES
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while self._more and left > 0:
                    left -= len(await self._part())

    async def _part(self) -> bytes:
        self._begun = True
        message = await self._receive()
        if message["type"] != "http.request":
            self._more = False
            raise ConnectionResetError
        self._more = bool(message.get("more_body"))
        return bytes(message.get("body", b""))


async def answer(send: Send, told: Answer, headers: Mapping[str, str], *, head: bool = False) -> None:
    """Sends it, or only its head; gunicorn writes head and body together."""
    lines = {"content-type": told.content_type, "content-length": str(len(told.body)), **told.headers, **headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": told.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else told.body})


def _incomplete(size: int, announced: int, when: str) -> BadRequestError:
    whole = f"of {announced:,} bytes" if announced else "bytes and not the last"
    return BadRequestError(400, "incomplete", f"the body did not arrive: {size:,} {whole} {when}")


def _never() -> bool:
    return False
