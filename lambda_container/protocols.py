"""The interfaces that this package needs. Only type checkers and tests import them: creating Protocols takes time."""

from __future__ import annotations

from typing import Any, Protocol

from lambda_container.deadline import Deadline


class Stream(Protocol):
    """The methods of a connected socket that the package uses."""

    def settimeout(self, value: float | None, /) -> None: ...
    def sendall(self, data: Any, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Network(Protocol):
    """Resolves names and connects; SystemNetwork in the image, a fake in tests."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """The addresses of a name. Raises OSError, TimeoutError."""

    def connect(self, address: str, port: int, server_name: str | None, deadline: Deadline) -> Stream:
        """A connection to an IP address, under TLS for `server_name` unless that is None. Raises OSError."""


class Context(Protocol):
    """The method of Lambda's context that the package uses."""

    def get_remaining_time_in_millis(self) -> int: ...
