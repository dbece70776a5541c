"""Shows the number of pictures and the remaining seconds on a terminal. Shows nothing where stderr is piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

INTERVAL = 0.2  # seconds between redraws


class Progress:
    """One line, redrawn in place. `total` is the number of pictures."""

    def __init__(
        self,
        title: str,
        total: int,
        *,
        shown: bool,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._stream, self._clock = title, total, stream, clock
        self._shown = shown and stream.isatty()  # ranks have a terminal if the supervisor has one
        self._done, self._start, self._drawn = 0, clock(), 0.0

    def advance(self, pictures: int) -> None:
        self._done += pictures
        now = self._clock()
        if self._shown and (now - self._drawn > INTERVAL or self._done >= self._total):
            self._drawn = now
            self._stream.write(f"\r\x1b[K{self.text(now - self._start)}")
            self._stream.flush()

    def text(self, elapsed: float) -> str:
        """The line `elapsed` seconds after the start."""
        speed = self._done / elapsed if elapsed > 0 else 0.0
        left = f", {max(0, self._total - self._done) / speed:.0f} s left" if speed > 0 else ""
        return f"{self._title}: {self._done}/{self._total} pictures, {speed:.0f}/s{left}"

    def close(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
