"""The operations of Application Auto Scaling: what they store, and what they refuse as AWS does."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.gateway.service import PassToMoto
from tests.unit.localcloud.applicationautoscaling.fakes import TARGET, Fakes

CONCURRENCY = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}
FUNCTION = {
    "ServiceNamespace": "lambda", "ResourceId": "function:f:live",
    "ScalableDimension": "lambda:function:ProvisionedConcurrency",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MinCapacity": 3, "MaxCapacity": 2}, "Minimum capacity 3 must not be greater than maximum capacity 2"),
        ({"MinCapacity": -1}, "must not be negative"),
        ({"MinCapacity": None}, "MinCapacity and MaxCapacity are required"),
        ({"ResourceId": "endpoint/other/variant/A"}, "Could not find it"),
        ({"ScalableDimension": "lambda:function:ProvisionedConcurrency"}, "Unsupported service namespace"),
        ({"ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"}, "no inference components"),
    ],
)
def test_a_target_that_aws_refuses_is_refused(change: dict[str, Any], message: str) -> None:
    request = TARGET | {"MinCapacity": 1, "MaxCapacity": 4} | change
    request = {key: value for key, value in request.items() if value is not None}
    error = Fakes().refused("RegisterScalableTarget", **request)
    assert error.code == "ValidationException"
    assert message in error.message


def test_a_target_is_changed_in_part_and_keeps_the_rest() -> None:
    fakes = Fakes()
    fakes.register(1, 4, Tags={"a": "b"})
    fakes.do("RegisterScalableTarget", **TARGET, MaxCapacity=6)
    (target,) = fakes.do("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 6)
    arn = target["ScalableTargetARN"]
    fakes.do("TagResource", ResourceARN=arn, Tags={"c": "d"})
    fakes.do("UntagResource", ResourceARN=arn, TagKeys=["a"])
    assert fakes.do("ListTagsForResource", ResourceARN=arn) == {"Tags": {"c": "d"}}
    assert fakes.do("DescribeScalableTargets", ServiceNamespace="sagemaker", ResourceIds=["x"])["ScalableTargets"] == []


def test_a_refused_request_changes_nothing() -> None:
    fakes = Fakes()
    fakes.register(1, 4, Tags={"a": "b"})
    before = fakes.do("DescribeScalableTargets", ServiceNamespace="sagemaker")
    error = fakes.refused("RegisterScalableTarget", **TARGET, MaxCapacity=9, Tags={"c": "d"})
    assert "use TagResource" in error.message
    assert fakes.do("DescribeScalableTargets", ServiceNamespace="sagemaker") == before


def test_a_policy_whose_new_alarms_fail_keeps_its_old_ones() -> None:
    fakes = Fakes()
    fakes.register()
    fakes.track(100)
    before = dict(fakes.alarms.kept)
    fakes.alarms.broken = True
    with pytest.raises(ApiError, match="no alarms today"):
        fakes.track(50)
    assert fakes.alarms.kept == before
    (policy,) = fakes.do("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 100


def test_deregistering_deletes_policies_alarms_and_scheduled_actions() -> None:
    fakes = Fakes()
    fakes.register()
    alarms = fakes.track()["Alarms"]
    assert [alarm["AlarmName"] for alarm in alarms] == list(fakes.alarms.kept)
    fakes.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="s", Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 2},
    )  # fmt: skip
    fakes.do("DeregisterScalableTarget", **TARGET)
    assert fakes.alarms.kept == {}
    assert fakes.do("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert fakes.do("DescribeScheduledActions", ServiceNamespace="sagemaker")["ScheduledActions"] == []
    error = fakes.refused("DeregisterScalableTarget", **TARGET)
    assert error.code == "ObjectNotFoundException"
    assert error.message.startswith(
        "No scalable target found for service namespace: sagemaker, resource ID: endpoint/E"
    )


def test_policies_and_schedules_need_a_target() -> None:
    config = {"TargetValue": 1.0, "PredefinedMetricSpecification": CONCURRENCY}
    error = Fakes().refused(
        "PutScalingPolicy", **TARGET, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=config,
    )  # fmt: skip
    assert "No scalable target registered" in error.message
    for operation, name in (("DeleteScalingPolicy", "PolicyName"), ("DeleteScheduledAction", "ScheduledActionName")):
        assert Fakes().refused(operation, **TARGET, **{name: "x"}).code == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"TargetValue": 0.0}, "TargetValue 0 must be greater than 0"),
        ({"PredefinedMetricSpecification": None}, "Exactly one of"),
        (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}},
            "only supports the following predefined metric types: SageMakerVariantInvocationsPerInstance",
        ),
        (
            {"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": {"Metrics": []}},
            "MetricName, Namespace, Statistic must be given",
        ),
    ],
)
def test_a_policy_that_cannot_work_is_refused(config: dict[str, Any], message: str) -> None:
    fakes = Fakes()
    fakes.register()
    body = {"TargetValue": 1.0, "PredefinedMetricSpecification": CONCURRENCY} | config
    error = fakes.refused(
        "PutScalingPolicy", **TARGET, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={key: value for key, value in body.items() if value is not None},
    )  # fmt: skip
    assert message in error.message


def test_the_target_of_a_functions_utilization_is_a_share() -> None:
    fakes = Fakes()
    fakes.do("RegisterScalableTarget", **FUNCTION, MinCapacity=1, MaxCapacity=5)
    kind = {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}
    for value, accepted in ((0.7, True), (0.95, False)):
        request = FUNCTION | {
            "PolicyName": "p", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": value, "PredefinedMetricSpecification": kind},
        }  # fmt: skip
        if accepted:
            assert len(fakes.do("PutScalingPolicy", **request)["Alarms"]) == 2
        else:
            assert "between 0.1 and 0.9" in fakes.refused("PutScalingPolicy", **request).message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Schedule": "cron(0 8 * * *)"}, "Schedule cron(0 8 * * *) is not valid: a cron expression has six fields"),
        ({"ScalableTargetAction": {}}, "Schedule and ScalableTargetAction"),
        ({"ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 1}}, "must not be greater"),
        ({"Timezone": "Mars/Olympus"}, "Timezone Mars/Olympus is not known"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused(change: dict[str, Any], message: str) -> None:
    fakes = Fakes()
    fakes.register()
    action = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 2}} | change
    assert message in fakes.refused("PutScheduledAction", **TARGET, ScheduledActionName="s", **action).message


def test_requests_about_other_namespaces_go_to_moto() -> None:
    fakes = Fakes()
    with pytest.raises(PassToMoto):
        fakes.do("DescribeScalableTargets", ServiceNamespace="ecs")
    with pytest.raises(PassToMoto):
        fakes.do("ListTagsForResource", ResourceARN="arn:aws:application-autoscaling:r:a:scalable-target/other")


def test_a_listing_has_pages() -> None:
    fakes = Fakes()
    fakes.register()
    fakes.track()
    first = fakes.do("DescribeScalingPolicies", ServiceNamespace="sagemaker", MaxResults=1)
    assert "NextToken" not in first
    error = fakes.refused("DescribeScalingPolicies", ServiceNamespace="sagemaker", NextToken="elsewhere")
    assert error.code == "InvalidNextTokenException"
