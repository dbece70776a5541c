"""Who is let in: by the time that a request would wait, since its caller waits for an answer and not for a number.

A server that takes more than it can do answers everybody late. So what it cannot do in time it refuses at once, before
a picture is decoded (rules 30, 32), and the others wait no longer than was said.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MEMORY = 0.97  # how much of the pace so far stays with each request: about the last thirty count


class RefusedError(RuntimeError):
    """No room now. `code` names the bound, `seconds` is when it is worth asking again."""

    def __init__(self, code: str, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.code = code
        self.seconds = max(1, math.ceil(seconds))


class Pace:
    """Recent seconds a picture of the whole server: of busy time only, from one answer to the next."""

    def __init__(self) -> None:
        self._seconds = self._pictures = self._last = 0.0

    def begin(self, now: float) -> None:
        """The server was idle until now."""
        self._last = now

    def answered(self, pictures: int, now: float) -> None:
        self._seconds = MEMORY * self._seconds + (now - self._last)
        self._pictures = MEMORY * self._pictures + pictures
        self._last = now

    def seconds(self) -> float:
        """Seconds a picture; 0 before the first answer."""
        return self._seconds / self._pictures if self._pictures else 0.0


class Admission:
    """Bounds the requests at work, their pictures, and the seconds that the next one would wait for those before it.

    `always` requests are taken however slow the model is: else a model slower than `max_wait` would serve one caller.
    """

    def __init__(
        self,
        *,
        max_requests: int,
        max_pictures: int,
        max_wait: float,
        always: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._requests = threading.BoundedSemaphore(max_requests)
        self._max_requests, self._max_pictures = max_requests, max_pictures
        self._max_wait, self._always, self._clock = max_wait, always, clock
        self._lock = threading.Lock()
        self._pace = Pace()
        self._inside = self._pictures = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """While a body is read and answered: some threads always stay free for /ping. Raises RefusedError."""
        if not self._requests.acquire(blocking=False):
            raise RefusedError("busy", f"{self._max_requests} requests are at work already")
        try:
            yield
        finally:
            self._requests.release()

    @contextmanager
    def pictures(self, count: int) -> Iterator[None]:
        """While `count` pictures are decoded and classified. Raises RefusedError."""
        with self._lock:
            self.check(count)
            if not self._inside:
                self._pace.begin(self._clock())
            self._inside += 1
            self._pictures += count
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                self._pictures -= count
                self._pace.answered(count, self._clock())

    def expected_wait(self) -> float:
        """Seconds until what is inside now has been answered, at the recent pace."""
        return self._pictures * self._pace.seconds()

    def check(self, count: int = 1) -> None:
        """Raises RefusedError where `count` pictures more have no room; also asked before a request costs anything."""
        if self._pictures and self._pictures + count > self._max_pictures:
            raise RefusedError(
                "queue-full", f"{self._pictures} pictures wait already, at most {self._max_pictures} may"
            )
        wait = self.expected_wait()
        if self._inside >= self._always and wait > self._max_wait:
            text = f"those before it take {wait:.2f} s, and at most {self._max_wait:g} s may be waited"
            raise RefusedError("overloaded", text, wait)
