"""The instance profile, through which an EC2 instance assumes its role (rule 80)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import iam
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, Request, State, Step, differences


@dataclass(frozen=True, kw_only=True)
class InstanceProfile:
    """A desired profile. It has the name of its role, and holds that role only."""

    name: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"instance-profile/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"roles": [self.name]}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, _iam("GetInstanceProfile", self.name))
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        return State(
            fields={"roles": [role["RoleName"] for role in profile["Roles"]]},
            attributes={"arn": profile["Arn"]},
            tags=tags_of(profile.get("Tags", ())),
        )

    def plan(self, observed: State | None) -> Step:
        add = _iam("AddRoleToInstanceProfile", self.name, RoleName=self.name)
        if observed is None:
            create = _iam("CreateInstanceProfile", self.name, Tags=tag_list(self.tags))
            return Step(action="create", address=self.address, reason="does not exist", acts=(create, add))
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        remove = [_iam("RemoveRoleFromInstanceProfile", self.name, RoleName=role) for role in observed.fields["roles"]]
        return Step(action="update", address=self.address, reason="differs", acts=(*remove, add), changes=changes)


def instance_profile(settings: Settings) -> InstanceProfile:
    """The profile of training instances."""
    return InstanceProfile(name=settings.role_name("ec2"), tags=settings.tags)


def _iam(operation: str, name: str, **params: Any) -> Request:
    return iam(operation, InstanceProfileName=name, **params)


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    answer = lookup(call, _iam("GetInstanceProfile", name)) or {}
    return tags_of(answer.get("InstanceProfile", {}).get("Tags", ()))


def _remove(name: str, _: Settings) -> Step:
    empty = _iam("RemoveRoleFromInstanceProfile", name, RoleName=name)
    return delete(f"instance-profile/{name}", empty, _iam("DeleteInstanceProfile", name))


KIND = ResourceKind(
    name="instance-profile",
    names=listing("iam", "ListInstanceProfiles", "InstanceProfiles", "InstanceProfileName", token=("Marker", "Marker")),
    tags=_tags,
    remove=_remove,
)
