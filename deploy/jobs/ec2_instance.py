"""EC2 instances that train: between jobs there should be none, so `down` terminates any that are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import ec2
from deploy.aws.tags import tags_of
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete
from deploy.values import Call, Request, Step, Wait

LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")


def instances(settings: Settings, call: Call, *, job: str = "", states: tuple[str, ...] = LIVING) -> Iterator[Any]:
    """The stage's instances, or those of one job, in one of `states` (an empty tuple: in any state)."""
    tags = {**settings.tags, **({"kennel:job": job} if job else {})}
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    filters += [{"Name": "instance-state-name", "Values": list(states)}] if states else []
    for reservation in pages(call, ec2("DescribeInstances", Filters=filters), items="Reservations"):
        yield from reservation["Instances"]


def terminate(instance: str) -> Request:
    return ec2("TerminateInstances", InstanceIds=[instance])


def _names(settings: Settings, call: Call) -> Iterator[str]:
    yield from (instance["InstanceId"] for instance in instances(settings, call))


def _instance(name: str, settings: Settings, call: Call) -> Mapping[str, Any]:
    return next((each for each in instances(settings, call) if each["InstanceId"] == name), {})


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    return tags_of(_instance(name, settings, call).get("Tags", ()))


def _state(name: str, settings: Settings, call: Call) -> str:
    instance = _instance(name, settings, call)
    return f"{instance['State']['Name']}, {instance['InstanceType']}" if instance else "gone"


def _remove(name: str, _: Settings) -> Step:
    """Waits for the end, because AWS does not delete a security group before its instances."""
    ended = Wait(
        request=ec2("DescribeInstances", InstanceIds=[name]),
        path="Reservations.0.Instances.0.State.Name",
        until="terminated",
        timeout=600,
    )
    return delete(f"instance/{name}", terminate(name), ended, touches="a running training job, which stops at once")


KIND = ResourceKind(name="instance", names=_names, tags=_tags, remove=_remove, state=_state)
