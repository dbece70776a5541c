"""A network in memory: names, replies, and a record of look-ups and connections."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence

from lambda_container.deadline import Deadline

JPEG = b"\xff\xd8\xff\xe0 a picture"


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeStream:
    """Answers everything with `reply`. Each read takes `slow` seconds, or times out earlier."""

    def __init__(self, reply: bytes, clock: FakeClock, slow: float) -> None:
        self.sent = b""
        self.hung_up = False
        self._reply = io.BytesIO(reply)
        self._clock = clock
        self._slow = slow
        self._timeout = math.inf

    def settimeout(self, value: float | None, /) -> None:
        if value is not None and value <= 0:
            raise ValueError("a timeout must be above 0")
        self._timeout = math.inf if value is None else value

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def close(self) -> None:
        self.hung_up = True

    def recv(self, size: int, /) -> bytes:
        self._clock.now += min(self._slow, self._timeout)
        if self._slow > self._timeout:
            raise TimeoutError("timed out")
        return self._reply.read(size)


class FakeNetwork:
    """`names` has the answers of successive look-ups of a name; the last one repeats."""

    def __init__(
        self,
        names: Mapping[str, Sequence[Sequence[str]]],
        replies: Sequence[bytes | OSError],
        *,
        clock: FakeClock | None = None,
        slow: float = 0,
    ) -> None:
        self._names: dict[str, Iterator[Sequence[str]]] = {name: _repeat(answers) for name, answers in names.items()}
        self._replies = iter(replies)
        self._clock = clock or FakeClock()
        self._slow = slow
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int, str | None]] = []
        self.streams: list[FakeStream] = []

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        self.looked_up.append(host)
        if host not in self._names:
            raise OSError(f"no such name: {host}")
        return list(next(self._names[host]))

    def connect(self, address: str, port: int, server_name: str | None, deadline: Deadline) -> FakeStream:
        self.connected.append((address, port, server_name))
        reply = next(self._replies)
        if isinstance(reply, OSError):
            raise reply
        stream = FakeStream(reply, self._clock, self._slow)
        self.streams.append(stream)
        return stream


def _repeat(answers: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield from answers
    while True:
        yield answers[-1]


def http_reply(
    body: bytes = JPEG, *, status: str = "200 OK", headers: Mapping[str, str] | None = None, length: int | None = None
) -> bytes:
    fields = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body
