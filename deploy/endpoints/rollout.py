"""Rollout: how traffic moves to a new version, all at once, as a canary or in linear steps (pure).

[endpoint.rollout] of deploy.toml becomes SageMaker's DeploymentConfig here, and the words that a plan shows. The alarms
that roll a canary back are in alarm.py; the update that carries the DeploymentConfig is planned in endpoint.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.config.endpoint import Rollout

ROUTING = {"all-at-once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
STARTING_S = 3600  # for instances to start; the waits of [endpoint.rollout] are added
LEAST_S = 600  # that AWS takes as a timeout


def deployment(rollout: Rollout, alarms: Sequence[str]) -> dict[str, Any]:
    """The DeploymentConfig of UpdateEndpoint (rules 55, 56). When one of `alarms` (names) goes off, AWS rolls back."""
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
    """The rollout in words, for a plan."""
    text = {
        "all-at-once": "all traffic moves at once when the new instances are healthy",
        "canary": f"{rollout.percent} % of the traffic moves when the new instances are healthy, "
        f"the rest after {rollout.wait_seconds} s",
        "linear": f"{rollout.percent} % of the traffic moves every {rollout.wait_seconds} s "
        "when the new instances are healthy",
    }[rollout.how]
    if rollout.keep_old_seconds:
        text += f"; the old version stays {rollout.keep_old_seconds} s longer"
    if alarms:
        text += f"; AWS rolls back when an alarm goes off ({', '.join(alarms)})"
    return text
