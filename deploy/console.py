"""Output for people: titled parts with their times, progress bars and tables on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

FIRST_LINE_S = 5.0


@dataclass(kw_only=True)
class Screen:
    """Writes to a terminal or a pipe. `now` is a clock in seconds."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    now: Callable[[], float] = time.monotonic

    @property
    def is_terminal(self) -> bool:
        return self.out.isatty()

    def say(self, text: str = "") -> None:
        self.out.write(f"{text}\n")
        self.out.flush()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Prints a title, and at the end how long the part took."""
        began = self.now()
        self.say(f"\n── {title}")
        yield
        seconds = self.now() - began
        self.say(f"   ({seconds:.1f} s)")

    @contextmanager
    def bar(self, title: str, *, is_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
        """A function to call with (done, total). When piped it prints a few lines, with the time left."""
        if not self.is_terminal:
            yield self._piped(title, size if is_bytes else str)
            return
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

        columns = (*Progress.get_default_columns(), *((DownloadColumn(), TransferSpeedColumn()) if is_bytes else ()))
        with Progress(*columns, console=self._console(), transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Prints rows under headings: with rules on a terminal, aligned when piped."""
        cells = [[str(cell) for cell in row] for row in rows]
        if self.is_terminal:
            from rich.table import Table

            table = Table(*headings)
            for row in cells:
                table.add_row(*row)
            self._console().print(table)
            return
        widths = [max(len(line[index]) for line in [list(headings), *cells]) for index in range(len(headings))]
        for line in [list(headings), *cells]:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def _console(self) -> Any:
        from rich.console import Console

        return Console(file=self.out)

    def _piped(self, title: str, shown: Callable[[int], str]) -> Callable[[int, int], None]:
        """Lines after 5, 15, 35 … seconds, each wait twice the one before: short work prints none, long work a few."""
        began, wait = self.now(), FIRST_LINE_S
        due = began + wait

        def update(done: int, total: int) -> None:
            nonlocal due, wait
            now = self.now()
            left = (now - began) * (total - done) / max(1, done)
            if now < due or not done or left < 1:
                return
            wait *= 2
            due = now + wait
            self.say(f"   {title}: {shown(done)} of {shown(total)}, about {left:.0f} s left")

        return update


def size(count: int) -> str:
    """A number of bytes as people read it: 812 kB, 4.1 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.{0 if count >= 100 * scale else 1}f} {unit}"
    return f"{count} B"
