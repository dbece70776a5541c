"""The role for deploying: iam.deployer_principal assumes it; its policies are those of `./inv iam --deployer`.

The role may read itself but not change itself, which is left to the person who created it. So `down` deletes it only
with --deployer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import iam
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.iam.document import Document
from deploy.iam.managed_policy import ManagedPolicy, named
from deploy.iam.policies import deployer
from deploy.iam.role import DEPLOYER
from deploy.planning.resource import ResourceKind, delete, require_ours, unchanged
from deploy.values import Call, Request, State, Step, differences


@dataclass(frozen=True, kw_only=True)
class DeployerRole:
    """The desired role. `policies` are the ARNs of its attached policies."""

    name: str
    trust: Document
    policies: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"deployer/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"trust": self.trust, "policies": sorted(self.policies)}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._iam("GetRole"))
        if answer is None:
            return None
        trust = answer["Role"]["AssumeRolePolicyDocument"]
        attached = call(self._iam("ListAttachedRolePolicies"))["AttachedPolicies"]
        return State(
            fields={
                "trust": json.loads(trust) if isinstance(trust, str) else trust,
                "policies": sorted(each["PolicyArn"] for each in attached),
            },
            tags=tags_of(answer["Role"].get("Tags", ())),
        )

    def plan(self, observed: State | None) -> Step:
        attach = {arn: self._iam("AttachRolePolicy", PolicyArn=arn) for arn in self.policies}
        principal = self.trust["Statement"][0]["Principal"]["AWS"]
        if observed is None:
            acts = (self._create(), *attach.values())
            touches = f"{principal} can deploy this stage"
            return Step(action="create", address=self.address, reason="does not exist", acts=acts, touches=touches)
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        held = set(observed.fields["policies"])
        trust = self._iam("UpdateAssumeRolePolicy", PolicyDocument=json.dumps(self.trust))
        acts = (
            *([trust] if "trust" in {change.field for change in changes} else []),
            *(request for arn, request in attach.items() if arn not in held),
            *(self._iam("DetachRolePolicy", PolicyArn=arn) for arn in sorted(held - set(self.policies))),
        )
        return Step(action="update", address=self.address, reason="differs", acts=acts, changes=changes)

    def remove(self) -> Step:
        detach = (self._iam("DetachRolePolicy", PolicyArn=arn) for arn in self.policies)
        return delete(self.address, *detach, self._iam("DeleteRole"), touches="nobody can assume it any more")

    def _create(self) -> Request:
        return self._iam("CreateRole", AssumeRolePolicyDocument=json.dumps(self.trust), Tags=tag_list(self.tags))

    def _iam(self, operation: str, **params: Any) -> Request:
        return iam(operation, RoleName=self.name, **params)


def deployer_policies(settings: Settings) -> tuple[ManagedPolicy, ...]:
    """The policies that a deployer needs, one for each topic."""
    prefix = settings.role_name(DEPLOYER)
    topics = deployer.policies(settings)
    return tuple(named(settings, f"{prefix}-{topic}", policy) for topic, policy in topics.items())


def deployer_role(settings: Settings) -> tuple[ManagedPolicy | DeployerRole, ...]:
    """The role and its policies, in the order of creation; nothing without iam.deployer_principal."""
    if not settings.iam.deployer_principal:
        return ()
    policies = deployer_policies(settings)
    return (*policies, _role(settings, tuple(each.arn for each in policies)))


def _role(settings: Settings, policies: tuple[str, ...]) -> DeployerRole:
    return DeployerRole(
        name=settings.role_name(DEPLOYER), trust=deployer.trust(settings), policies=policies, tags=settings.tags
    )


def _names(settings: Settings, call: Call) -> Iterator[str]:
    name = settings.role_name(DEPLOYER)
    if lookup(call, iam("GetRole", RoleName=name)) is not None:
        yield name


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    request = iam("ListRoleTags", RoleName=name)
    return tags_of((lookup(call, request) or {}).get("Tags", ()))


KIND = ResourceKind(
    name="deployer",
    names=_names,
    tags=_tags,
    remove=lambda _, settings: _role(settings, tuple(each.arn for each in deployer_policies(settings))).remove(),
    keep="deployer",
)
