"""Requests are let in by the time that they would wait; what is refused says why and when to come again."""

from contextlib import ExitStack
from typing import Any

import pytest

from serve.admission import Admission, Pace, RefusedError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock | None = None, **bounds: Any) -> Admission:
    known: dict[str, Any] = {"max_requests": 100, "max_pictures": 1000, "max_wait": 1.0, "always": 2}
    return Admission(**(known | bounds), clock=clock or Clock())


def answered(found: Admission, clock: Clock, seconds: float, times: int = 50) -> None:
    for _ in range(times):
        with found.pictures(1):
            clock.now += seconds


def test_the_pace_is_that_of_busy_time_whatever_comes_together() -> None:
    pace = Pace()
    assert pace.seconds() == 0
    for burst in range(20):
        pace.begin(burst * 1000.0)
        for _ in range(8):
            pace.answered(1, burst * 1000.0 + 0.8)
    assert pace.seconds() == pytest.approx(0.1, rel=0.15)


def test_the_pace_follows_a_change_within_some_requests() -> None:
    clock = Clock()
    found = admission(clock)
    answered(found, clock, 0.1)
    answered(found, clock, 0.01, times=100)
    with found.pictures(10):
        assert found.expected_wait() == pytest.approx(0.1, rel=0.5)


def test_a_request_is_refused_when_those_before_it_take_too_long() -> None:
    clock = Clock()
    found = admission(clock, max_wait=1.05)
    answered(found, clock, 0.1)
    with ExitStack() as inside:
        for _ in range(11):  # ten take one second, so an eleventh still comes in
            inside.enter_context(found.pictures(1))
        with pytest.raises(RefusedError, match=r"take 1\.10 s, and at most 1.05 s") as refused, found.pictures(1):
            pass
    assert (refused.value.code, refused.value.seconds) == ("overloaded", 2)
    with found.pictures(1):
        assert found.expected_wait() < 0.2


def test_a_slow_model_takes_some_requests_all_the_same() -> None:
    clock = Clock()
    found = admission(clock, always=2)
    answered(found, clock, 5.0)
    with found.pictures(1), found.pictures(1), pytest.raises(RefusedError), found.pictures(1):
        pass


def test_a_full_queue_takes_none_of_a_request_but_an_empty_one_takes_any() -> None:
    found = admission(max_pictures=3)
    with found.pictures(5):
        pass
    with found.pictures(2), pytest.raises(RefusedError, match="2 pictures wait") as refused, found.pictures(2):
        pass
    assert (refused.value.code, refused.value.seconds) == ("queue-full", 1)


def test_requests_at_work_are_bounded() -> None:
    found = admission(max_requests=1)
    with found.request(), pytest.raises(RefusedError, match="1 requests are at work"), found.request():
        pass
    with found.request():
        pass


def test_a_request_that_fails_leaves_its_place() -> None:
    found = admission(max_pictures=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no picture"), found.pictures(1):
            raise ValueError("no picture")
    with found.pictures(1):
        pass
