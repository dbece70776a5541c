"""The progress line: its text, and silence where stderr is not a terminal."""

from __future__ import annotations

import io

from train.reporting.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_counts_pictures_and_seconds_left() -> None:
    stream, now = Terminal(), iter([0.0, 10.0])
    bar = Progress("features", 400, shown=True, stream=stream, clock=lambda: next(now))
    bar.advance(100)
    assert "features: 100/400 pictures, 10/s, 30 s left" in stream.getvalue()


def test_the_line_is_cleared_at_the_end() -> None:
    stream = Terminal()
    bar = Progress("features", 1, shown=True, stream=stream)
    bar.advance(1)
    bar.close()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_nothing_is_written_when_piped() -> None:
    stream = io.StringIO()
    bar = Progress("features", 4, shown=True, stream=stream)
    bar.advance(4)
    bar.close()
    assert stream.getvalue() == ""
