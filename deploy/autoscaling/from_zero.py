"""Starts the first instance of an asynchronous variant that has scaled to 0: a step policy, and the alarm that triggers
it while requests wait.

Target tracking needs it: it measures the backlog per instance, and with no instance a few requests would wait for ever
(rule 50; "Autoscale an asynchronous endpoint" of the SageMaker developer guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.requests import cloudwatch
from deploy.aws.tags import tag_list
from deploy.values import Call, Ref, Request

POLICY = "kennel-from-zero"
ATTRIBUTE = "from_zero_arn"


def alarm_name(resource: str) -> str:
    """The alarm of a variant (its ResourceId). The name starts with the endpoint's, so that `down` finds it."""
    _, endpoint, _, variant = resource.split("/")
    return f"{endpoint}-{variant}-queued"


def put(address: str, key: Mapping[str, str], *, cooldown_s: int, tags: Mapping[str, str]) -> tuple[Request, Request]:
    """The policy that adds an instance, then its alarm. `address` and `key` are those of the scalable target."""
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": cooldown_s,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    params = {"PolicyName": POLICY, "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": step, **key}
    policy = Request(
        service="application-autoscaling",
        operation="PutScalingPolicy",
        params=params,
        gives={f"{address}.{ATTRIBUTE}": "PolicyARN"},
    )
    return policy, _alarm(key["ResourceId"], Ref(address=address, attribute=ATTRIBUTE), tags)


def _alarm(resource: str, policy: Ref, tags: Mapping[str, str]) -> Request:
    endpoint = resource.split("/")[1]
    params: dict[str, Any] = {
        "AlarmName": alarm_name(resource),
        "AlarmDescription": f"{endpoint}: requests wait and no instance runs",
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy],
        "Tags": tag_list(tags),
    }
    return cloudwatch("PutMetricAlarm", **params)


def delete_alarm(resource: str) -> Request:
    return cloudwatch("DeleteAlarms", AlarmNames=[alarm_name(resource)])


def triggers(resource: str, policy_arn: str, call: Call) -> bool:
    """Whether the variant's alarm exists and triggers this policy."""
    request = cloudwatch("DescribeAlarms", AlarmNames=[alarm_name(resource)])
    return any(policy_arn in alarm.get("AlarmActions", ()) for alarm in call(request).get("MetricAlarms", ()))
