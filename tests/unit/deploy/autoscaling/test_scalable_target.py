"""Scalable targets: tables from what is registered to what is done, and what must not scale while an endpoint moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from deploy.autoscaling.scalable_target import KIND, POLICY, Bounds, ScalableTarget
from deploy.config.settings import Settings
from deploy.endpoints.scaling_release import Release
from deploy.errors import DeployError
from deploy.values import Request, State, Step, Wait
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws

RESOURCE = "endpoint/kennel-local/variant/main"
ARN = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/abc"
FORM = "real-time ml.m5.large"
TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
TRACKING = {
    "TargetValue": 100.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}
READY = Wait(
    request=Request(service="sagemaker", operation="DescribeEndpoint", params={"EndpointName": "kennel-local"})
)
TARGET = ScalableTarget(
    resource=RESOURCE, least=1, most=4, tracking=TRACKING, form=FORM, ready=(READY,), tags=TAGS,
    schedules={"day": Bounds(at="rate(1 day)", least=2, most=None)},
)  # fmt: skip


def observed(**changed: Any) -> State:
    return State(fields={**TARGET.desired(), "others": [], "form": FORM, **changed}, tags=TAGS)


def operations(step: Step) -> list[str]:
    return [act.operation for act in step.acts if isinstance(act, Request)]


def test_a_new_target_waits_for_its_endpoint_then_is_registered_with_policy_and_schedules() -> None:
    step = TARGET.plan(None)
    assert step.action == "create"
    assert step.acts[0] is READY
    assert operations(step) == ["RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction"]
    assert "100 invocations per instance and minute" in step.reason


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        ({}, []),
        ({"max": 9}, ["RegisterScalableTarget"]),
        ({"min": 2}, []),  # as its schedule has set it
        ({"min": 3}, ["RegisterScalableTarget"]),
        ({"tracking": None}, ["PutScalingPolicy"]),
        ({"tracking": {**TRACKING, "TargetValue": 5.0}}, ["PutScalingPolicy"]),
        ({"others": ["by-hand"]}, ["DeleteScalingPolicy"]),
        ({"schedules": {}}, ["PutScheduledAction"]),
        ({"schedules": {"old": {}, **TARGET.desired()["schedules"]}}, ["DeleteScheduledAction"]),
        ({"from_zero": True}, ["DeleteScalingPolicy", "DeleteAlarms"]),
        ({"form": None}, []),
        (
            {"form": "real-time ml.t2.medium"},
            ["RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction"],
        ),
    ],
)
def test_only_the_differences_are_changed(changed: dict[str, Any], sent: list[str]) -> None:
    assert operations(TARGET.plan(observed(**changed))) == sent


def test_tags_are_sent_at_the_first_registration_only() -> None:
    first, again = TARGET.plan(None).acts[1], TARGET.plan(observed(max=9)).acts[1]
    assert isinstance(first, Request)
    assert isinstance(again, Request)
    assert first.params["Tags"] == TAGS
    assert "Tags" not in again.params


def test_a_target_without_our_tags_is_not_touched() -> None:
    with pytest.raises(DeployError, match="does not carry the tags"):
        TARGET.plan(replace(observed(), tags={}))


def aws(**more: Any) -> FakeAws:
    """An AWS where TARGET is registered and serves."""
    policy = {"PolicyName": POLICY, "TargetTrackingScalingPolicyConfiguration": {**TRACKING, "DisableScaleIn": False}}
    action = {"ScheduledActionName": "day", "Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 2}}
    replies: Mapping[str, Any] = {
        "DescribeScalableTargets": lambda params: {
            "ScalableTargets": [
                {"ResourceId": RESOURCE, "ScalableTargetARN": ARN, "MinCapacity": 1, "MaxCapacity": 4},
            ]
            if params["ServiceNamespace"] == "sagemaker"
            else []
        },
        "DescribeScalingPolicies": {"ScalingPolicies": [policy]},
        "DescribeScheduledActions": {"ScheduledActions": [action]},
        "ListTagsForResource": {"Tags": TAGS},
        "DescribeEndpoint": {"EndpointConfigName": "c"},
        "DescribeEndpointConfig": {"ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}]},
    }  # fmt: skip
    return FakeAws({**replies, **more})


def test_a_target_is_read_back_as_it_was_registered(golden: Golden) -> None:
    reader = aws()
    assert TARGET.plan(TARGET.read(reader)).action == "none"
    for request in reader.sent:
        if request.service == "application-autoscaling":
            golden("read", request)
    assert TARGET.read(aws(DescribeScalableTargets={"ScalableTargets": []})) is None


def test_a_variant_that_may_scale_to_0_has_a_policy_and_an_alarm_that_start_it_again(golden: Golden) -> None:
    idle = replace(TARGET, least=0, from_zero=True, schedules={}, form="async ml.m5.large")
    new = idle.plan(None)
    assert operations(new) == ["RegisterScalableTarget", "PutScalingPolicy", "PutScalingPolicy", "PutMetricAlarm"]
    policy, alarm = new.acts[-2:]
    assert isinstance(policy, Request)
    assert isinstance(alarm, Request)
    golden("from-zero", policy, rules=(50,))
    golden("from-zero", alarm, rules=(50,))
    assert policy.gives == {f"{idle.address}.from_zero_arn": "PolicyARN"}
    assert str(alarm.params["AlarmActions"][0]) == f"${{{idle.address}.from_zero_arn}}"
    _, alarms = KIND.remove(RESOURCE, Settings.model_construct()).acts
    assert isinstance(alarms, Request)
    golden("from-zero", alarms)


@pytest.mark.parametrize(("actions", "is_there"), [(["arn:policy"], True), (["arn:older"], False), ([], False)])
def test_the_alarm_must_trigger_the_policy_that_exists(actions: list[str], is_there: bool) -> None:
    step = {"PolicyName": "kennel-from-zero", "PolicyARN": "arn:policy"}
    reader = aws(
        DescribeScalingPolicies={"ScalingPolicies": [step]},
        DescribeAlarms={"MetricAlarms": [{"AlarmActions": actions}]},
    )
    state = replace(TARGET, from_zero=True).read(reader)
    assert state is not None
    assert state.fields["from_zero"] is is_there


def test_down_finds_the_targets_of_the_stage_by_their_names_and_tags(settings: Settings) -> None:
    assert list(KIND.names(settings, aws())) == [RESOURCE]
    assert KIND.tags(RESOURCE, settings, aws()) == TAGS
    assert KIND.state(RESOURCE, settings, aws()) == "1 to 4"


@pytest.mark.parametrize(
    ("forms", "scales", "released"),
    [
        ({RESOURCE: FORM}, True, False),
        ({RESOURCE: "real-time ml.c5.large"}, True, True),
        ({RESOURCE: "async ml.m5.large"}, True, True),
        ({"endpoint/kennel-local/variant/other": FORM}, True, True),
        ({RESOURCE: FORM}, False, True),
    ],
)
def test_a_variant_that_changes_or_goes_is_deregistered_before_its_endpoint_is_updated(
    forms: dict[str, str], scales: bool, released: bool
) -> None:
    made = Release(endpoint="kennel-local", forms=forms, scales=scales, tags=TAGS)
    step = made.plan(made.read(aws()))
    assert operations(step) == (["DeregisterScalableTarget", "DeleteAlarms"] if released else [])


def test_another_tools_target_stays_unless_its_variant_must_change() -> None:
    foreign = aws(ListTagsForResource={"Tags": {}})
    stays = Release(endpoint="kennel-local", forms={RESOURCE: FORM}, scales=False, tags=TAGS)
    assert stays.plan(stays.read(foreign)).action == "none"
    goes = Release(endpoint="kennel-local", forms={}, scales=False, tags=TAGS)
    with pytest.raises(DeployError, match="another tool registered this variant for scaling"):
        goes.plan(goes.read(foreign))


def test_nothing_is_deregistered_where_nothing_is_registered_or_runs() -> None:
    made = Release(endpoint="kennel-local", forms={}, scales=True, tags=TAGS)
    assert made.read(aws(DescribeScalableTargets={})) is None
    assert made.plan(made.read(aws(DescribeEndpoint={}))).action == "none"
