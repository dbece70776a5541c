"""Requests are admitted by the time that they would wait; a refusal says why and when to try again."""

from contextlib import ExitStack
from typing import Any

import pytest

from serve.admission import Admission, ServiceTime
from serve.errors import UnavailableError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock | None = None, **bounds: Any) -> Admission:
    known: dict[str, Any] = {"max_requests": 100, "max_pictures": 1000, "max_wait": 1.0, "always": 2}
    return Admission(**(known | bounds), clock=clock or Clock())


def answered(control: Admission, clock: Clock, seconds: float, times: int = 50) -> None:
    for _ in range(times):
        with control.pictures(1):
            clock.now += seconds


def test_the_service_time_counts_busy_time_only_however_many_requests_come_together() -> None:
    service_time = ServiceTime()
    assert service_time.seconds() == 0
    for burst in range(20):
        service_time.busy_again(burst * 1000.0)
        for _ in range(8):
            service_time.answered(1, burst * 1000.0 + 0.8)
    assert service_time.seconds() == pytest.approx(0.1, rel=0.15)


def test_the_service_time_follows_a_change_within_a_hundred_requests() -> None:
    clock = Clock()
    control = admission(clock)
    answered(control, clock, 0.1)
    answered(control, clock, 0.01, times=100)
    with control.pictures(10):
        assert control.expected_wait() == pytest.approx(0.1, rel=0.5)


def test_a_request_is_refused_when_those_before_it_take_too_long() -> None:
    clock = Clock()
    control = admission(clock, max_wait=1.05)
    answered(control, clock, 0.1)
    with ExitStack() as inside:
        for _ in range(11):  # ten take one second, so an eleventh is still admitted
            inside.enter_context(control.pictures(1))
        with (
            pytest.raises(UnavailableError, match=r"take 1\.10 s; the limit is 1\.05 s") as refused,
            control.pictures(1),
        ):
            pass
    assert (refused.value.code, refused.value.retry_after) == ("overloaded", 2)
    with control.pictures(1):
        assert control.expected_wait() < 0.2


def test_a_slow_model_takes_some_requests_all_the_same() -> None:
    clock = Clock()
    control = admission(clock, always=2)
    answered(control, clock, 5.0)
    with control.pictures(1), control.pictures(1), pytest.raises(UnavailableError), control.pictures(1):
        pass


def test_a_full_queue_takes_none_of_a_request_but_an_empty_one_takes_any() -> None:
    control = admission(max_pictures=3)
    with control.pictures(5):
        pass
    with (
        control.pictures(2),
        pytest.raises(UnavailableError, match="2 pictures are in progress and at most 3") as refused,
        control.pictures(2),
    ):
        pass
    assert (refused.value.code, refused.value.retry_after) == ("queue-full", 1)


def test_requests_at_work_are_bounded() -> None:
    control = admission(max_requests=1)
    with control.request(), pytest.raises(UnavailableError, match="already works on 1 requests"), control.request():
        pass
    with control.request():
        pass


def test_a_request_that_fails_leaves_its_place() -> None:
    control = admission(max_pictures=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no picture"), control.pictures(1):
            raise ValueError("no picture")
    with control.pictures(1):
        pass
