"""Admission control: refuses a request at once when it would wait too long for the requests before it.

A server that accepts more than it can compute answers everybody late. This one bounds the expected wait rather than
the queue's length, because callers care about time. It refuses before it decodes a picture (rules 30, 32).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serve.errors import UnavailableError

MEMORY = 0.97  # the weight of the past at each answer, so that about the last thirty requests count


class ServiceTime:
    """The seconds that the whole server recently took per picture, measured from answer to answer while busy."""

    def __init__(self) -> None:
        self._seconds = self._pictures = self._last = 0.0

    def busy_again(self, now: float) -> None:
        """The server was idle until `now`: the time before does not count."""
        self._last = now

    def answered(self, pictures: int, now: float) -> None:
        self._seconds = MEMORY * self._seconds + (now - self._last)
        self._pictures = MEMORY * self._pictures + pictures
        self._last = now

    def seconds(self) -> float:
        """Seconds per picture; 0 before the first answer."""
        return self._seconds / self._pictures if self._pictures else 0.0


class Admission:
    """Bounds the requests in progress, their pictures, and the seconds that the next request would wait for them.

    `always` requests are accepted however slow the model is; otherwise a model slower than `max_wait` would serve one
    caller at a time.
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
        self._service_time = ServiceTime()
        self._inside = self._pictures = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Held while a request is read and answered. Raises UnavailableError when there are too many."""
        if not self._requests.acquire(blocking=False):
            raise UnavailableError("busy", f"the server already works on {self._max_requests} requests; try again")
        try:
            yield
        finally:
            self._requests.release()

    @contextmanager
    def pictures(self, count: int) -> Iterator[None]:
        """Held while `count` pictures are decoded and classified. Raises UnavailableError as `check` does."""
        with self._lock:
            self.check(count)
            if not self._inside:
                self._service_time.busy_again(self._clock())
            self._inside += 1
            self._pictures += count
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                self._pictures -= count
                self._service_time.answered(count, self._clock())

    def expected_wait(self) -> float:
        """Seconds until the pictures in progress are answered, at the recent time per picture."""
        return self._pictures * self._service_time.seconds()

    def check(self, count: int = 1) -> None:
        """Raises UnavailableError when `count` more pictures have no room. Cheap: also called before a body is read."""
        if self._pictures and self._pictures + count > self._max_pictures:
            text = f"{self._pictures} pictures are in progress and at most {self._max_pictures} may be; try again"
            raise UnavailableError("queue-full", text)
        wait = self.expected_wait()
        if self._inside >= self._always and wait > self._max_wait:
            text = f"earlier requests still take {wait:.2f} s; the limit is {self._max_wait:g} s; try again later"
            raise UnavailableError("overloaded", text, wait)
