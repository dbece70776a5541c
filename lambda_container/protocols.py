"""What this room needs of the world, for type checkers and tests only: making these classes costs start-up time."""

from __future__ import annotations

from typing import Any, Protocol

from lambda_container.deadline import Deadline


class Stream(Protocol):
    """The part of a connected socket that is used."""

    def settimeout(self, value: float | None, /) -> None: ...
    def sendall(self, data: Any, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Network(Protocol):
    """What fetching needs of the world; tests bring their own."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """The addresses of a name. Raises OSError, TimeoutError."""

    def connect(self, address: str, port: int, server_name: str | None, deadline: Deadline) -> Stream:
        """A connection to an IP address, under TLS for `server_name` unless that is None. Raises OSError."""


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...
