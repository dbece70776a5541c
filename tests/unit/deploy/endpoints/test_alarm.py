"""The alarms of a rollout: their number, their requests to CloudWatch, and their steps in a plan."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.endpoint import Endpoint, Rollout
from deploy.config.settings import Settings
from deploy.endpoints.alarm import KIND, Alarm
from deploy.endpoints.alarm import alarms as alarms_of
from deploy.endpoints.checks import check
from deploy.endpoints.spec import endpoint_spec
from deploy.errors import DeployError
from deploy.values import Request, State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws

GUARDED = Rollout(how="canary", max_error_percent=5, max_latency_ms=800)


def guarded(settings: Settings, rollout: Rollout = GUARDED, variants: int = 0) -> Settings:
    named: dict[str, dict[str, str]] = {f"v{number}": {} for number in range(variants)}
    endpoint = Endpoint.model_validate({"variants": named, "rollout": rollout.model_dump()})
    return settings.model_copy(update={"endpoint": endpoint})


def alarms(settings: Settings) -> tuple[Alarm, ...]:
    return alarms_of(endpoint_spec(settings, "main"))


def names(settings: Settings) -> list[str]:
    return [alarm.name for alarm in alarms(settings)]


def first(settings: Settings) -> Alarm:
    return alarms(guarded(settings))[0]


def test_each_variant_has_an_alarm_for_each_limit_that_is_set(settings: Settings) -> None:
    assert names(settings) == []
    assert names(guarded(settings)) == ["kennel-local-main-errors", "kennel-local-main-latency"]
    two = guarded(settings, Rollout(max_error_percent=1, keep_old_seconds=60), variants=2)
    assert names(two) == ["kennel-local-v0-errors", "kennel-local-v1-errors"]


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        ({"max_error_percent": 1}, "alarms look at whole minutes, but the old version would be gone after 0 s"),
        ({"how": "canary", "wait_seconds": 10, "max_latency_ms": 5}, "would be gone after 20 s"),
        (
            {"how": "canary", "percent": 10, "max_error_percent": 10},
            "a new version that takes 10 % of the requests cannot make 10 % of all requests fail",
        ),
    ],
)
def test_an_alarm_that_could_not_go_off_in_time_is_refused(rollout: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout.model_validate(rollout)


def test_more_alarms_than_a_deployment_takes_are_refused(settings: Settings) -> None:
    five, six = (endpoint_spec(guarded(settings, variants=count), "main") for count in (5, 6))
    assert len(alarms_of(five)) == 10
    check([five])
    with pytest.raises(DeployError, match="6 variants need 12 alarms, and AWS lets a deployment watch 10"):
        check([six])


def test_the_alarms_are_what_cloudwatch_takes(settings: Settings, golden: Golden) -> None:
    for alarm, name in zip(alarms(guarded(settings)), ("errors", "latency"), strict=True):
        (put,) = alarm.plan(None).acts
        assert isinstance(put, Request)
        golden(f"alarm-{name}", put, rules=(55,))
    golden("alarm-tags", Request(service="cloudwatch", operation="ListTagsForResource", params={
        "ResourceARN": first(settings).arn}))  # fmt: skip
    golden("alarm", Request(service="cloudwatch", operation="DescribeAlarms", params={
        "AlarmNames": ["kennel-local-main-errors"], "AlarmTypes": ["MetricAlarm"]}))  # fmt: skip
    (remove,) = KIND.remove("kennel-local-main-errors", settings).acts
    assert isinstance(remove, Request)
    golden("alarm", remove)


def test_an_alarm_is_put_again_only_when_it_differs(settings: Settings) -> None:
    alarm = first(settings)
    right = State(fields=alarm.desired(), tags=settings.tags)
    assert alarm.plan(right).action == "none"
    (change,) = alarm.plan(State(fields=alarm.desired() | {"Threshold": 0.5}, tags=settings.tags)).changes
    assert (change.field, change.before, change.after) == ("Threshold", 0.5, 0.05)
    with pytest.raises(DeployError, match="does not carry the tags"):
        alarm.plan(State(fields=alarm.desired()))


def test_an_alarm_is_read_back_as_it_was_put(settings: Settings) -> None:
    alarm = first(settings)
    tags = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
    aws = FakeAws({"DescribeAlarms": {"MetricAlarms": [alarm.desired() | {"StateValue": "OK"}]},
                   "ListTagsForResource": {"Tags": tags}})  # fmt: skip
    observed = alarm.read(aws)
    assert observed is not None
    assert alarm.plan(observed).action == "none"
    assert alarm.read(FakeAws()) is None
