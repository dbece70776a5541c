"""The operations on scaling policies and scheduled actions (rules 48, 49, 68)."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.applicationautoscaling import schedule, target_tracking
from localcloud.applicationautoscaling.records import (
    Params,
    Policy,
    Records,
    ScheduledAction,
    Target,
    invalid,
    missing,
    page,
)
from localcloud.applicationautoscaling.targets import check_namespace
from localcloud.cloudwatch.alarms import Alarms
from localcloud.errors import ApiError

CONFIGS = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
}
# Scalable dimension → the predefined metrics that its policies may use.
PREDEFINED = {
    "sagemaker:variant:DesiredInstanceCount": (
        "SageMakerVariantInvocationsPerInstance",
        "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    ),
    "sagemaker:variant:DesiredProvisionedConcurrency": ("SageMakerVariantProvisionedConcurrencyUtilization",),
    "lambda:function:ProvisionedConcurrency": ("LambdaProvisionedConcurrencyUtilization",),
}
SHARE_METRICS = ("LambdaProvisionedConcurrencyUtilization", "SageMakerVariantProvisionedConcurrencyUtilization")
MAX_POLICIES = 50
MAX_ACTIONS = 200


@dataclass(kw_only=True)
class Policies:
    """The operations on policies and scheduled actions. `scale`: how many real seconds a second of rate() lasts."""

    records: Records
    alarms: Alarms
    scale: float = 1.0

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {
            "PutScalingPolicy": self.put_policy,
            "DeleteScalingPolicy": self.delete_policy,
            "DescribeScalingPolicies": self.describe_policies,
            "PutScheduledAction": self.put_action,
            "DeleteScheduledAction": self.delete_action,
            "DescribeScheduledActions": self.describe_actions,
            "GetPredictiveScalingForecast": _no_forecast,
        }

    # ------------------------------------------------------------------------------------------ policies

    def put_policy(self, params: Params) -> Params:
        """PutScalingPolicy: create or replace a policy. A target tracking policy gets new alarms."""
        check_namespace(params)
        with self.records.lock:
            target = self.records.registered(params)
            name = params["PolicyName"]
            known = target.policies.get(name)
            policy_type = params.get("PolicyType", known.policy_type if known else "StepScaling")
            config = _config(policy_type, params, target)
            if known is None and len(target.policies) >= MAX_POLICIES:
                raise ApiError("LimitExceededException", f"A scalable target takes {MAX_POLICIES} policies.", 400)
            arn = known.arn if known else self._policy_arn(target, name)
            alarms = self._create_alarms(config, target, arn) if policy_type == "TargetTrackingScaling" else ()
            self.alarms.delete_alarms(alarm for alarm, _ in (known.alarms if known else ()))
            created = known.created if known else self.records.now()
            policy = Policy(name=name, policy_type=policy_type, config=config, arn=arn, created=created, alarms=alarms)
            target.policies[name] = policy
            self.alarms.delete_alarms(alarm for alarm, _ in (known.alarms if known else ()))
        return {"PolicyARN": policy.arn, "Alarms": _alarms(policy)}

    def _policy_arn(self, target: Target, name: str) -> str:
        resource = f"scalingPolicy:{uuid.uuid4()}:resource/{target.namespace}/{target.resource}:policyName/{name}"
        return self.records.arn("autoscaling", resource)

    def _create_alarms(self, config: Params, target: Target, policy_arn: str) -> tuple[tuple[str, str], ...]:
        """Create the alarms of a target tracking policy; returns their names and ARNs."""
        description = f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}."
        alarms = target_tracking.alarms(config, target.resource, str(uuid.uuid4()), policy_arn)
        return tuple((alarm.name, self.alarms.put_alarm(alarm, description=description)) for alarm in alarms)

    def delete_policy(self, params: Params) -> Params:
        check_namespace(params)
        with self.records.lock:
            target = self.records.find(params)
            policy = target.policies.pop(params["PolicyName"], None) if target else None
        if policy is None:
            raise missing("scaling policy found", params, f", policy name: {params['PolicyName']}")
        self.alarms.delete_alarms(name for name, _ in policy.alarms)
        return {}

    def describe_policies(self, params: Params) -> Params:
        check_namespace(params)
        names = params.get("PolicyNames", ())
        with self.records.lock:
            rows = [
                _described(target, policy)
                for target in self.records.matching(params)
                for policy in target.policies.values()
                if not names or policy.name in names
            ]
        return page(rows, params, "ScalingPolicies", size=10)

    # ------------------------------------------------------------------------------------------ scheduled actions

    def put_action(self, params: Params) -> Params:
        """PutScheduledAction: create or change a scheduled action."""
        check_namespace(params)
        with self.records.lock:
            target = self.records.registered(params)
            name = params["ScheduledActionName"]
            known = target.actions.get(name)
            request = {**(known.request if known else {}), **params}
            _check_action(request)
            if known is None and len(target.actions) >= MAX_ACTIONS:
                raise ApiError("LimitExceededException", f"A resource takes {MAX_ACTIONS} scheduled actions.", 400)
            resource = f"scheduledAction:{uuid.uuid4()}:resource/{target.namespace}/{target.resource}"
            target.actions[name] = ScheduledAction(
                name=name,
                request=request,
                arn=known.arn if known else self.records.arn("autoscaling", f"{resource}:scheduledActionName/{name}"),
                created=known.created if known else self.records.now(),
                next=self.next_run(request),
            )
        return {}

    def next_run(self, request: Mapping[str, Any]) -> datetime | None:
        """When a scheduled action runs next, within its StartTime and EndTime; None for never again."""
        after = max(self.records.now(), request.get("StartTime", self.records.now()))
        zone = _zone(request)
        time = schedule.next_run(request["Schedule"], after, zone=zone, scale=self.scale)
        return None if time and "EndTime" in request and time > request["EndTime"] else time

    def delete_action(self, params: Params) -> Params:
        check_namespace(params)
        with self.records.lock:
            target = self.records.find(params)
            if target is None or target.actions.pop(params["ScheduledActionName"], None) is None:
                name = f", scheduled action name: {params['ScheduledActionName']}"
                raise missing("scheduled action found", params, name)
        return {}

    def describe_actions(self, params: Params) -> Params:
        check_namespace(params)
        names = params.get("ScheduledActionNames", ())
        with self.records.lock:
            rows = [
                {**action.request, "ScheduledActionARN": action.arn, "CreationTime": action.created}
                for target in self.records.matching(params)
                for action in target.actions.values()
                if not names or action.name in names
            ]
        return page(rows, params, "ScheduledActions")


def _config(policy_type: str, params: Params, target: Target) -> Params:
    """The policy's configuration, checked against the target's dimension. Raises ApiError."""
    if policy_type not in CONFIGS:
        raise invalid(f"localcloud has no {policy_type} policies: use TargetTrackingScaling or StepScaling.")
    if CONFIGS[policy_type] not in params:
        raise invalid(f"{CONFIGS[policy_type]} is required for a {policy_type} policy.")
    config: Params = params[CONFIGS[policy_type]]
    if policy_type == "TargetTrackingScaling":
        _check_tracking(config, target.dimension)
    else:
        _check_steps(config)
    return config


def _check_tracking(config: Params, dimension: str) -> None:
    given = [name for name in ("PredefinedMetricSpecification", "CustomizedMetricSpecification") if name in config]
    if len(given) != 1:
        raise invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given.")
    if config["TargetValue"] <= 0:
        raise invalid(f"TargetValue {config['TargetValue']:g} must be greater than 0.")
    if "CustomizedMetricSpecification" in config:
        absent = {"Namespace", "MetricName", "Statistic"} - set(config["CustomizedMetricSpecification"])
        if absent:
            raise invalid(f"localcloud tracks one metric: {', '.join(sorted(absent))} must be given.")
        return
    metric_type = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    known = PREDEFINED[dimension]
    if metric_type not in known:
        raise invalid(
            f"Scalable dimension {dimension} only supports the following predefined metric types: {', '.join(known)}"
        )
    if metric_type in SHARE_METRICS and not 0.1 <= config["TargetValue"] <= 0.9:
        raise invalid(f"TargetValue of {metric_type} must be between 0.1 and 0.9.")


def _check_steps(config: Params) -> None:
    if "AdjustmentType" not in config or not config.get("StepAdjustments"):
        raise invalid("AdjustmentType and at least one of StepAdjustments are required for a StepScaling policy.")


def _check_action(request: Params) -> None:
    """Raises ApiError for a scheduled action that can never run."""
    bounds = request.get("ScalableTargetAction", {})
    if "Schedule" not in request or not bounds:
        raise invalid("Schedule and ScalableTargetAction (MinCapacity, MaxCapacity) are required.")
    if bounds.get("MinCapacity", 0) > bounds.get("MaxCapacity", bounds.get("MinCapacity", 0)):
        raise invalid("Minimum capacity must not be greater than maximum capacity.")
    try:
        schedule.next_run(request["Schedule"], schedule.EPOCH, zone=_zone(request))
    except ZoneInfoNotFoundError:
        raise invalid(f"Timezone {request['Timezone']} is not known.") from None
    except ValueError as error:
        raise invalid(f"Schedule {request['Schedule']} is not valid: {error}") from None


def _zone(request: Mapping[str, Any]) -> tzinfo:
    """The time zone of a scheduled action. UTC does not need the time zone database, which a machine may lack."""
    name = request.get("Timezone", "UTC")
    return UTC if name == "UTC" else ZoneInfo(name)


def _alarms(policy: Policy) -> list[Params]:
    return [{"AlarmName": name, "AlarmARN": arn} for name, arn in policy.alarms]


def _described(target: Target, policy: Policy) -> Params:
    return {
        "PolicyARN": policy.arn, "PolicyName": policy.name, "ServiceNamespace": target.namespace,
        "ResourceId": target.resource, "ScalableDimension": target.dimension, "PolicyType": policy.policy_type,
        CONFIGS[policy.policy_type]: dict(policy.config), "Alarms": _alarms(policy), "CreationTime": policy.created,
    }  # fmt: skip


def _no_forecast(_: Params) -> Params:
    raise invalid("localcloud has no predictive scaling.")
