"""Log groups of our own, made before the service makes them, so that the first line has retention and tags already.

The whole account shares the groups /aws/sagemaker/TrainingJobs, …/TransformJobs and …/NotebookInstances. They are not
ours: they are neither changed nor deleted, and the lines of our jobs stay there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import logs
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, require_ours, unchanged
from deploy.values import Act, Call, State, Step, differences

ENDPOINTS = "/aws/sagemaker/Endpoints/"
FUNCTIONS = "/aws/lambda/"


@dataclass(frozen=True, kw_only=True)
class LogGroup:
    """A desired log group. `arn` is without the ":*" that CloudWatch appends."""

    name: str
    arn: str
    retention_days: int
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"log-group/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"retention_days": self.retention_days}

    def read(self, call: Call) -> State | None:
        request = logs("DescribeLogGroups", logGroupNamePrefix=self.name)
        groups = pages(call, request, items="logGroups", token=("nextToken", "nextToken"))
        group = next((each for each in groups if each["logGroupName"] == self.name), None)
        if group is None:
            return None
        return State(fields={"retention_days": group.get("retentionInDays")}, tags=_tags_of(self.arn, call))

    def plan(self, observed: State | None) -> Step:
        """A group without any tags was made by the service for a resource of ours, and is taken over."""
        retain = logs("PutRetentionPolicy", logGroupName=self.name, retentionInDays=self.retention_days)
        if observed is None:
            create = logs("CreateLogGroup", logGroupName=self.name, tags=dict(self.tags))
            return Step(action="create", address=self.address, reason="does not exist", acts=(create, retain))
        if observed.tags:
            require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes and observed.tags:
            return unchanged(self.address)
        acts: list[Act] = [] if observed.tags else [logs("TagResource", resourceArn=self.arn, tags=dict(self.tags))]
        acts += [retain] if changes else []
        reason = "differs" if observed.tags else "was made by the service, without tags"
        shorter = changes and (observed.fields["retention_days"] or 10**6) > self.retention_days
        touches = f"lines older than {self.retention_days} days are deleted" if shorter else ""
        return Step(
            action="update", address=self.address, reason=reason, acts=tuple(acts), changes=changes, touches=touches
        )

    def remove(self) -> Step:
        return delete(self.address, logs("DeleteLogGroup", logGroupName=self.name), touches="all lines in it")


def log_group(settings: Settings, name: str) -> LogGroup:
    """A group of this stage, with the retention of [logs]."""
    arn = settings.arn("logs", f"log-group:{name}")
    return LogGroup(name=name, arn=arn, retention_days=settings.logs.retention_days, tags=settings.tags)


def endpoint_group(settings: Settings, endpoint: str) -> LogGroup:
    return log_group(settings, f"{ENDPOINTS}{endpoint}")


def function_group(settings: Settings) -> LogGroup:
    return log_group(settings, f"{FUNCTIONS}{settings.function_name}")


def ec2_group(settings: Settings) -> LogGroup:
    """The group to which training on EC2 writes."""
    return log_group(settings, f"/kennel/{settings.prefix}/ec2")


def _names(settings: Settings, call: Call) -> Iterator[str]:
    """Groups whose names may belong to the stage."""
    for start in (f"{FUNCTIONS}{settings.prefix}", f"{ENDPOINTS}{settings.prefix}", f"/kennel/{settings.prefix}/"):
        request = logs("DescribeLogGroups", logGroupNamePrefix=start)
        for group in pages(call, request, items="logGroups", token=("nextToken", "nextToken")):
            name = str(group["logGroupName"])
            if start.endswith("/") or name == start or name.startswith(f"{start}-"):
                yield name


def _tags_of(arn: str, call: Call) -> dict[str, str]:
    return dict((lookup(call, logs("ListTagsForResource", resourceArn=arn)) or {}).get("tags", {}))


def _state(name: str, _: Settings, call: Call) -> str:
    groups = call(logs("DescribeLogGroups", logGroupNamePrefix=name))["logGroups"]
    days = next((each.get("retentionInDays") for each in groups if each["logGroupName"] == name), None)
    return f"kept {days} days" if days else "kept for ever"


KIND = ResourceKind(
    name="log-group",
    names=_names,
    tags=lambda name, settings, call: _tags_of(log_group(settings, name).arn, call),
    remove=lambda name, settings: log_group(settings, name).remove(),
    state=_state,
)
