"""Who waits for an answer. Each request carries one Caller, from the worker to the batcher."""

from __future__ import annotations

import time
from typing import Protocol


class Connection(Protocol):
    """The worker's side of the socket."""

    @property
    def has_left(self) -> bool:
        """Whether the other side has closed the connection."""


class Caller:
    """A caller waits until `deadline` (by time.perf_counter), unless it closes the connection or its request fails.

    The event loop writes, threads read: each attribute is one reference, so neither takes a lock.
    """

    __slots__ = ("_connection", "_request_failed", "deadline")

    def __init__(self, *, deadline: float, connection: Connection | None = None) -> None:
        self.deadline = deadline
        self._connection = connection
        self._request_failed = False

    @property
    def has_left(self) -> bool:
        return self._connection is not None and self._connection.has_left

    @property
    def waits(self) -> bool:
        """Whether an answer that is computed now still reaches someone who wants it."""
        return not self._request_failed and time.perf_counter() < self.deadline and not self.has_left

    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.perf_counter())

    def request_failed(self) -> None:
        """The request is answered with an error: its other pictures need no answer."""
        self._request_failed = True


class CallerGoneError(RuntimeError):
    """Nothing was computed: the caller has left, its deadline has passed, or its request has failed."""
