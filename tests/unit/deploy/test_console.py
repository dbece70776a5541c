"""Progress of long work where no terminal shows a bar: a few lines, with the time left."""

from __future__ import annotations

import io

from deploy.console import Screen


def lines(seconds: int, *, total: int = 1000) -> list[str]:
    """What a piped bar prints while work of `seconds` reports every second."""
    out, clock = io.StringIO(), [0.0]
    with Screen(out=out, now=lambda: clock[0]).bar("pictures", is_bytes=True) as progress:
        for second in range(seconds + 1):
            clock[0] = float(second)
            progress(total * second // seconds, total)
    return out.getvalue().splitlines()


def test_short_work_prints_no_progress_when_piped() -> None:
    assert lines(5) == []


def test_long_work_prints_a_few_lines_with_the_time_left_when_piped() -> None:
    assert lines(20, total=40_000_000) == [
        "   pictures: 10.0 MB of 40.0 MB, about 15 s left",
        "   pictures: 30.0 MB of 40.0 MB, about 5 s left",
    ]
    assert len(lines(3600)) < 12


def test_nothing_is_divided_by_zero_when_nothing_is_to_do() -> None:
    out = io.StringIO()
    with Screen(out=out, now=iter([0.0, 99.0, 99.0]).__next__).bar("pictures") as progress:
        progress(0, 0)
    assert out.getvalue() == ""
