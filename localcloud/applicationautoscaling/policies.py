"""PutScalingPolicy and PutScheduledAction and their kin (rules 48, 49, 68)."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localcloud.applicationautoscaling import schedule, target_tracking
from localcloud.applicationautoscaling.records import Action, Params, Policy, Records, Target, invalid, missing, page
from localcloud.applicationautoscaling.targets import ours
from localcloud.cloudwatch.alarms import Alarms
from localcloud.errors import ApiError

CONFIGS = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
}
# Which predefined metrics a dimension can be scaled by.
PREDEFINED = {
    "sagemaker:variant:DesiredInstanceCount": (
        "SageMakerVariantInvocationsPerInstance",
        "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    ),
    "sagemaker:variant:DesiredProvisionedConcurrency": ("SageMakerVariantProvisionedConcurrencyUtilization",),
    "lambda:function:ProvisionedConcurrency": ("LambdaProvisionedConcurrencyUtilization",),
}
SHARE_METRICS = ("LambdaProvisionedConcurrencyUtilization", "SageMakerVariantProvisionedConcurrencyUtilization")
MOST_POLICIES = 50
MOST_ACTIONS = 200


@dataclass(kw_only=True)
class Policies:
    """The operations on policies and scheduled actions. `scale` is how long a second of rate() lasts."""

    records: Records
    alarms: Alarms
    scale: float = 1.0

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
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
        """Make or replace a policy; target tracking makes its alarms anew."""
        ours(params)
        with self.records.lock:
            target = self.records.registered(params)
            known = target.policies.get(params["PolicyName"])
            kind = params.get("PolicyType", known.kind if known else "StepScaling")
            config = _config(kind, params, target)
            if known is None and len(target.policies) >= MOST_POLICIES:
                raise ApiError("LimitExceededException", f"A scalable target takes {MOST_POLICIES} policies.", 400)
            policy = known or self._new(target, params["PolicyName"])
            policy.kind, policy.config = kind, config
            self.alarms.delete_alarms(name for name, _ in policy.alarms)
            policy.alarms = self._make_alarms(policy, target)
            target.policies[policy.name] = policy
        return {"PolicyARN": policy.arn, "Alarms": _alarms(policy)}

    def _new(self, target: Target, name: str) -> Policy:
        place = f"scalingPolicy:{uuid.uuid4()}:resource/{target.namespace}/{target.resource}:policyName/{name}"
        arn = self.records.arn("autoscaling", place)
        return Policy(name=name, kind="", config={}, arn=arn, created=self.records.now())

    def _make_alarms(self, policy: Policy, target: Target) -> tuple[tuple[str, str], ...]:
        if policy.kind != "TargetTrackingScaling":
            return ()
        made = target_tracking.alarms(policy.config, target.resource, str(uuid.uuid4()), policy.arn)
        said = f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}."
        return tuple((alarm.name, self.alarms.put_alarm(alarm, description=said)) for alarm in made)

    def delete_policy(self, params: Params) -> Params:
        ours(params)
        with self.records.lock:
            target = self.records.find(params)
            policy = target.policies.pop(params["PolicyName"], None) if target else None
        if policy is None:
            raise missing("scaling policy found", params, f", policy name: {params['PolicyName']}")
        self.alarms.delete_alarms(name for name, _ in policy.alarms)
        return {}

    def describe_policies(self, params: Params) -> Params:
        ours(params)
        wanted = params.get("PolicyNames", ())
        rows = [
            _described(target, policy)
            for target in self.records.of(params)
            for policy in target.policies.values()
            if not wanted or policy.name in wanted
        ]
        return page(rows, params, "ScalingPolicies", size=10)

    # ------------------------------------------------------------------------------------------ scheduled actions

    def put_action(self, params: Params) -> Params:
        """Make or change a scheduled action."""
        ours(params)
        with self.records.lock:
            target = self.records.registered(params)
            name = params["ScheduledActionName"]
            known = target.actions.get(name)
            request = {**(known.request if known else {}), **params}
            _check_action(request)
            if known is None and len(target.actions) >= MOST_ACTIONS:
                raise ApiError("LimitExceededException", f"A resource takes {MOST_ACTIONS} scheduled actions.", 400)
            place = f"scheduledAction:{uuid.uuid4()}:resource/{target.namespace}/{target.resource}"
            arn = known.arn if known else self.records.arn("autoscaling", f"{place}:scheduledActionName/{name}")
            now = self.records.now()
            created = known.created if known else now
            action = Action(name=name, request=request, arn=arn, created=created, next=None)
            action.next = self.next_run(action)
            target.actions[name] = action
        return {}

    def next_run(self, action: Action) -> Any:
        """When a scheduled action runs next, within its StartTime and EndTime; None for never again."""
        request = action.request
        after = max(self.records.now(), request.get("StartTime", self.records.now()))
        zone = _zone(request)
        found = schedule.next_run(request["Schedule"], after, zone=zone, scale=self.scale)
        return None if found and "EndTime" in request and found > request["EndTime"] else found

    def delete_action(self, params: Params) -> Params:
        ours(params)
        with self.records.lock:
            target = self.records.find(params)
            if target is None or target.actions.pop(params["ScheduledActionName"], None) is None:
                name = f", scheduled action name: {params['ScheduledActionName']}"
                raise missing("scheduled action found", params, name)
        return {}

    def describe_actions(self, params: Params) -> Params:
        ours(params)
        wanted = params.get("ScheduledActionNames", ())
        rows = [
            {**action.request, "ScheduledActionARN": action.arn, "CreationTime": action.created}
            for target in self.records.of(params)
            for action in target.actions.values()
            if not wanted or action.name in wanted
        ]
        return page(rows, params, "ScheduledActions")


def _config(kind: str, params: Params, target: Target) -> Params:
    """The policy's configuration, held against what its dimension can be scaled by. Raises ApiError."""
    if kind not in CONFIGS:
        raise invalid(f"localcloud has no {kind} policies: use TargetTrackingScaling or StepScaling.")
    if CONFIGS[kind] not in params:
        raise invalid(f"{CONFIGS[kind]} is required for a {kind} policy.")
    config: Params = params[CONFIGS[kind]]
    if kind == "TargetTrackingScaling":
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
        lacking = {"Namespace", "MetricName", "Statistic"} - set(config["CustomizedMetricSpecification"])
        if lacking:
            raise invalid(f"localcloud tracks one metric: {', '.join(sorted(lacking))} must be given.")
        return
    kind = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    known = PREDEFINED[dimension]
    if kind not in known:
        raise invalid(
            f"Scalable dimension {dimension} only supports the following predefined metric types: {', '.join(known)}"
        )
    if kind in SHARE_METRICS and not 0.1 <= config["TargetValue"] <= 0.9:
        raise invalid(f"TargetValue of {kind} must be between 0.1 and 0.9.")


def _check_steps(config: Params) -> None:
    if "AdjustmentType" not in config or not config.get("StepAdjustments"):
        raise invalid("AdjustmentType and at least one of StepAdjustments are required for a StepScaling policy.")


def _check_action(request: Params) -> None:
    """Hold a scheduled action together. Raises ApiError."""
    wanted = request.get("ScalableTargetAction", {})
    if "Schedule" not in request or not wanted:
        raise invalid("Schedule and ScalableTargetAction (MinCapacity, MaxCapacity) are required.")
    if wanted.get("MinCapacity", 0) > wanted.get("MaxCapacity", wanted.get("MinCapacity", 0)):
        raise invalid("Minimum capacity must not be greater than maximum capacity.")
    try:
        schedule.next_run(request["Schedule"], schedule.EPOCH, zone=_zone(request))
    except ZoneInfoNotFoundError:
        raise invalid(f"Timezone {request['Timezone']} is not known.") from None
    except ValueError as error:
        raise invalid(f"Schedule {request['Schedule']} is not valid: {error}") from None


def _zone(request: Mapping[str, Any]) -> tzinfo:
    """The time zone of a scheduled action. UTC needs no time zone data, which a bare machine lacks."""
    name = request.get("Timezone", "UTC")
    return UTC if name == "UTC" else ZoneInfo(name)


def _alarms(policy: Policy) -> list[Params]:
    return [{"AlarmName": name, "AlarmARN": arn} for name, arn in policy.alarms]


def _described(target: Target, policy: Policy) -> Params:
    return {
        "PolicyARN": policy.arn, "PolicyName": policy.name, "ServiceNamespace": target.namespace,
        "ResourceId": target.resource, "ScalableDimension": target.dimension, "PolicyType": policy.kind,
        CONFIGS[policy.kind]: dict(policy.config), "Alarms": _alarms(policy), "CreationTime": policy.created,
    }  # fmt: skip


def _no_forecast(_: Params) -> Params:
    raise invalid("localcloud has no predictive scaling.")
