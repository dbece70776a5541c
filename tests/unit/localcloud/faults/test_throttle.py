"""A share of the requests is throttled: the same ones for a seed, each in its service's words."""

from __future__ import annotations

import pytest

from localcloud.environment import THROTTLE
from localcloud.errors import LocalcloudError
from localcloud.faults.throttle import Throttle, throttle_of, throttled
from localcloud.gateway.requests import AnyCall


def call(service: str) -> AnyCall:
    return AnyCall(service=service, operation="", params={}, access_key="AKID")


def struck(throttle: Throttle, count: int = 2000) -> list[int]:
    return [number for number in range(count) if throttle.refuse(call("sagemaker"))]


def test_the_seed_says_which_requests_are_refused_and_the_share_says_how_many() -> None:
    first, again, other = (struck(Throttle(share=0.05, seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert 60 < len(first) < 140
    assert struck(Throttle()) == []


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("s3", "SlowDown", 503),
        ("ec2", "RequestLimitExceeded", 503),
        ("lambda", "TooManyRequestsException", 429),
        ("service-quotas", "TooManyRequestsException", 400),
        ("iam", "Throttling", 400),
        ("sts", "Throttling", 400),
        ("cloudwatch", "Throttling", 400),
        ("sagemaker", "ThrottlingException", 400),
        ("logs", "ThrottlingException", 400),
    ],
)
def test_each_service_has_its_own_throttling_error(service: str, code: str, status: int) -> None:
    error = throttled(call(service))
    assert (error.code, error.status) == (code, status)


def test_the_variable_holds_a_share_and_perhaps_a_seed() -> None:
    assert throttle_of({}).share == 0
    assert (throttle_of({THROTTLE.name: "0.05"}).share, throttle_of({THROTTLE.name: "0.05"}).seed) == (0.05, 0)
    assert throttle_of({THROTTLE.name: "0.5:7"}).seed == 7


@pytest.mark.parametrize("text", ["", "often", "1", "-0.1", "0.05:x", "nan"])
def test_another_value_is_refused(text: str) -> None:
    with pytest.raises(LocalcloudError, match="is not SHARE or SHARE:SEED"):
        throttle_of({THROTTLE.name: text})
