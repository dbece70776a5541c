"""The verb autoscale: what must be there first, what it changes, and what it tells."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.commands.autoscale import autoscale, report
from deploy.config.endpoint import Endpoint
from deploy.config.function import Function
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.session import Session
from deploy.values import Request
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal
from tests.unit.deploy.golden import requests

RESOURCE = "endpoint/kennel-local/variant/main"
ARN = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/abc"
TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
RUNNING = {
    "EndpointStatus": "InService", "EndpointConfigName": "c",
    "ProductionVariants": [{"VariantName": "main", "CurrentInstanceCount": 1, "DesiredInstanceCount": 2}],
}  # fmt: skip
CONFIG = {"ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}]}
TRACKING = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


class Fakes(FakeAws):
    """An AWS where the endpoint runs, and its variant is registered or not."""

    def __init__(self, *, registered: bool, **more: Any) -> None:
        self.registered = registered
        super().__init__({
            "DescribeEndpoint": RUNNING, "DescribeEndpointConfig": CONFIG, "ListTagsForResource": {"Tags": TAGS},
            "DescribeScalableTargets": self._targets, "PutObject": {"ETag": "x"},
            "DescribeScalingPolicies": lambda _: {"ScalingPolicies": [
                {"PolicyName": "p", "TargetTrackingScalingPolicyConfiguration": TRACKING}]},
            "RegisterScalableTarget": self._register, "DeregisterScalableTarget": self._deregister, **more,
        })  # fmt: skip

    def _targets(self, params: Any) -> dict[str, Any]:
        ours = self.registered and params["ServiceNamespace"] == "sagemaker"
        one = {"ResourceId": RESOURCE, "ScalableTargetARN": ARN, "MinCapacity": 1, "MaxCapacity": 4}
        return {"ScalableTargets": [one] if ours else []}

    def _register(self, _: Any) -> dict[str, Any]:
        self.registered = True
        return {}

    def _deregister(self, _: Any) -> dict[str, Any]:
        self.registered = False
        return {}


def session(settings: Settings, aws: FakeAws) -> Session:
    out = Screen(out=io.StringIO())
    return Session(settings=settings, call=aws, build=str, screen=out, clock=FakeTime().clock())


def scaled(settings: Settings, **endpoint: Any) -> Settings:
    changed = {**endpoint, "autoscaling": {"max": 4}}
    return settings.model_copy(update={"endpoint": Endpoint.model_validate(changed)})


def changes(aws: FakeAws) -> list[str]:
    """The requests to Application Auto Scaling that change something."""
    sent = [request for request in aws.sent if request.service == "application-autoscaling"]
    return [each.operation for each in sent if not each.operation.startswith(("Describe", "List"))]


def test_a_target_that_should_scale_is_registered_and_its_counts_are_reported(settings: Settings) -> None:
    aws = Fakes(registered=False)
    result = autoscale(session(scaled(settings), aws))
    assert changes(aws) == ["RegisterScalableTarget", "PutScalingPolicy"]
    (row,) = [each.row for each in result.states]
    assert row == (RESOURCE, "1", "2", "1", "4", "100 invocations per instance and minute")


def test_a_target_that_should_no_longer_scale_is_deregistered(settings: Settings) -> None:
    aws = Fakes(registered=True)
    result = autoscale(session(settings, aws))
    assert changes(aws) == ["DeregisterScalableTarget"]
    assert result.states[0].row == (RESOURCE, "1", "2", "–", "–", "does not scale")


@pytest.mark.parametrize(
    ("endpoint", "reply", "message"),
    [
        (
            {},
            {"DescribeEndpoint": refusal("ValidationException", "Could not find endpoint")},
            "does not run yet; ./inv",
        ),
        (
            {"instance_type": "ml.c5.large"},
            {},
            "runs as real-time ml.m5.large, but deploy.toml says real-time ml.c5.large; ./inv",
        ),
    ],
)
def test_where_deploy_must_run_first_the_error_says_so_and_nothing_changes(
    settings: Settings, endpoint: dict[str, Any], reply: dict[str, Any], message: str
) -> None:
    aws = Fakes(registered=False, **reply)
    with pytest.raises(DeployError, match=message):
        autoscale(session(scaled(settings, **endpoint), aws))
    assert changes(aws) == []


def test_a_function_that_nothing_keeps_warm_is_reported_as_such(settings: Settings) -> None:
    warm = Function.model_validate({"provisioned_concurrency": 1, "autoscaling": {"max": 3}})
    aws = Fakes(
        registered=True,
        GetProvisionedConcurrencyConfig=refusal("ProvisionedConcurrencyConfigNotFoundException"),
    )
    states = report(settings.model_copy(update={"function": warm}), aws).states
    assert [state.row for state in states[1:]] == [
        ("function:kennel-local-classify:live", "–", "–", "–", "–", "does not scale")
    ]


def test_what_cannot_scale_is_refused_before_the_first_call(settings: Settings) -> None:
    aws = Fakes(registered=False)
    with pytest.raises(DeployError, match=r"endpoint\.autoscaling: AWS scales a serverless endpoint"):
        autoscale(session(scaled(settings, kind="serverless"), aws))
    assert aws.sent == []


def test_activities_are_shown_briefly_the_newest_first(settings: Settings) -> None:
    def at(minute: int, **more: Any) -> dict[str, Any]:
        when = datetime(2026, 11, 21, 6, minute, tzinfo=UTC)
        return {
            "StartTime": when,
            "Description": "Setting desired instance count to 2.",
            "StatusCode": "Successful",
            "Cause": f"monitor alarm TargetTracking-{RESOURCE}-AlarmHigh-x in state ALARM triggered policy p",
            **more,
        }

    activities = [
        at(1),
        at(3, StatusCode="Failed", NotScaledReasons=[{"Code": "AlreadyAtMaxCapacity"}]),
        at(0, Cause="monitor alarm e-main-queued in state ALARM triggered policy kennel-from-zero"),
        at(4, StatusCode="Failed", NotScaledReasons=[{"Code": "AlreadyAtMinCapacity"}]),
        at(2, StatusCode="Failed", StatusMessage="Failed to set desired instance count to 2. Reason: no capacity"),
    ]
    aws = Fakes(registered=True, DescribeScalingActivities={"ScalingActivities": activities})
    shown = report(scaled(settings), aws).activities
    assert [(each.status, each.cause) for each in shown] == [
        ("not scaled", "already at its maximum"),
        ("failed", "Failed to set desired instance count to 2. Reason: no capacity"),
        ("successful", "above the target"),
        ("successful", "requests waited and no instance was running"),
    ]
    assert shown[0].row[0] == "2026-11-21 06:03:00"


def test_a_report_is_a_table_for_people_and_json_for_scripts(settings: Settings) -> None:
    when = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    done = {"StartTime": when, "Description": "Setting desired instance count to 2.", "StatusCode": "Successful",
            "Cause": "minimum capacity was set to 2"}  # fmt: skip
    result = report(scaled(settings), Fakes(registered=True, DescribeScalingActivities={"ScalingActivities": [done]}))
    out = io.StringIO()
    result.show(Screen(out=out))
    assert "100 invocations per instance and minute" in out.getvalue()
    assert "Setting desired instance count to 2  successful  minimum capacity was set to 2" in out.getvalue()
    as_json = json.loads(result.to_json())
    assert as_json["states"][0]["max"] == 4
    assert as_json["activities"][0]["when"] == "2026-11-21T06:00:00+00:00"


def test_the_requests_of_a_report_are_ones_that_aws_accepts(settings: Settings) -> None:
    aws = Fakes(registered=True)
    report(scaled(settings), aws)
    for request in aws.sent:
        if request.service == "application-autoscaling" and "Policies" not in request.operation:
            requests.check("read", request)
    key = {"ServiceNamespace": "sagemaker", "ResourceId": RESOURCE,
           "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}  # fmt: skip
    requests.check("read", Request(service="application-autoscaling", operation="DescribeScalingPolicies", params=key))
