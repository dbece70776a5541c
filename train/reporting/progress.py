"""Pictures seen and seconds left on a terminal; nothing at all where the output is piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

INTERVAL = 0.2  # seconds between redraws


class Progress:
    """One line, redrawn in place. `total` counts pictures."""

    def __init__(
        self,
        what: str,
        total: int,
        *,
        shown: bool,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._stream, self._clock = what, total, stream, clock
        self._shown = shown and stream.isatty()  # the supervisor gives its ranks a terminal when it has one itself
        self._seen, self._start, self._drawn = 0, clock(), 0.0

    def advance(self, pictures: int) -> None:
        self._seen += pictures
        now = self._clock()
        if self._shown and (now - self._drawn > INTERVAL or self._seen >= self._total):
            self._drawn = now
            self._stream.write(f"\r\x1b[K{self.text(now - self._start)}")
            self._stream.flush()

    def text(self, elapsed: float) -> str:
        """What is drawn `elapsed` seconds after the start."""
        pace = self._seen / elapsed if elapsed > 0 else 0.0
        left = f", {max(0, self._total - self._seen) / pace:.0f} s left" if pace > 0 else ""
        return f"{self._what}: {self._seen}/{self._total} pictures, {pace:.0f}/s{left}"

    def close(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
