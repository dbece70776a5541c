"""How a new version takes over: [endpoint.rollout] as SageMaker's DeploymentConfig, and in words (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.config.endpoint import Rollout

ROUTING = {"all-at-once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
STARTING_S = 3600  # for instances to start, beside the waits that are asked for
LEAST_S = 600


def deployment(rollout: Rollout, alarms: Sequence[str]) -> dict[str, Any]:
    """The DeploymentConfig of UpdateEndpoint (rules 55, 56). `alarms` are names; one that rings sends it back."""
    shift = rollout.how != "all-at-once"
    routing: dict[str, Any] = {
        "Type": ROUTING[rollout.how],
        "WaitIntervalInSeconds": rollout.wait_seconds if shift else 0,
    }
    size = {"Type": "CAPACITY_PERCENT", "Value": rollout.percent}
    if rollout.how == "canary":
        routing["CanarySize"] = size
    if rollout.how == "linear":
        routing["LinearStepSize"] = size
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": rollout.keep_old_seconds,
        "MaximumExecutionTimeoutInSeconds": max(LEAST_S, rollout.seconds + STARTING_S),
    }
    watch = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    return {"BlueGreenUpdatePolicy": policy, **watch}


def words(rollout: Rollout, alarms: Sequence[str]) -> str:
    """What happens to the traffic."""
    said = {
        "all-at-once": "all traffic moves at once when the new instances are healthy",
        "canary": f"{rollout.percent} % of the traffic moves when the new instances are healthy, "
        f"the rest after {rollout.wait_seconds} s",
        "linear": f"{rollout.percent} % of the traffic moves every {rollout.wait_seconds} s "
        "when the new instances are healthy",
    }[rollout.how]
    if rollout.keep_old_seconds:
        said += f"; the old version stays {rollout.keep_old_seconds} s longer"
    if alarms:
        said += f"; back by itself when an alarm rings ({', '.join(alarms)})"
    return said
