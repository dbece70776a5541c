"""IAM roles of least privilege: who may assume each, its policy and its boundary. The documents are in policies/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import iam
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.iam import document
from deploy.iam.document import Document
from deploy.iam.policies import ec2, endpoint, function, notebook, training
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Act, Call, Request, State, Step, differences

POLICY = "kennel"
DEPLOYER = "deployer"  # its role is a resource kind of its own, because it cannot delete itself


@dataclass(frozen=True, kw_only=True)
class Role:
    """A desired role: who may assume it, and what it may do. `boundary` is the ARN of a policy, or empty."""

    name: str
    trust: Document
    policy: Document
    tags: Mapping[str, str]
    boundary: str = ""

    @property
    def address(self) -> str:
        return f"role/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"trust": self.trust, "policy": self.policy, "boundary": self.boundary}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._iam("GetRole"))
        if answer is None:
            return None
        role = answer["Role"]
        inline = lookup(call, self._iam("GetRolePolicy", PolicyName=POLICY)) or {}
        return State(
            fields={
                "trust": _document(role["AssumeRolePolicyDocument"]),
                "policy": _document(inline.get("PolicyDocument")),
                "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
            },
            attributes={"arn": role["Arn"]},
            tags=tags_of(role.get("Tags", ())),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            acts = (self._create(), self._put_policy())
            rights = _rights(None, self.policy)
            return Step(action="create", address=self.address, reason="does not exist", acts=acts, touches=rights)
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        requests: dict[str, Act] = {
            "trust": self._iam("UpdateAssumeRolePolicy", PolicyDocument=json.dumps(self.trust)),
            "policy": self._put_policy(),
            "boundary": self._bound(),
        }
        return Step(
            action="update",
            address=self.address,
            reason="differs",
            acts=tuple(requests[change.field] for change in changes),
            changes=changes,
            touches=_rights(observed.fields.get("policy"), self.policy),
        )

    def remove(self) -> Step:
        lost = f"nobody can assume {self.name} any more"
        acts = (self._iam("DeleteRolePolicy", PolicyName=POLICY), self._iam("DeleteRole"))
        return delete(self.address, *acts, touches=lost)

    def _create(self) -> Request:
        params: dict[str, Any] = {"AssumeRolePolicyDocument": json.dumps(self.trust), "Tags": tag_list(self.tags)}
        if self.boundary:
            params["PermissionsBoundary"] = self.boundary
        return replace(self._iam("CreateRole", **params), gives={f"{self.address}.arn": "Role.Arn"})

    def _put_policy(self) -> Request:
        return self._iam("PutRolePolicy", PolicyName=POLICY, PolicyDocument=json.dumps(self.policy))

    def _bound(self) -> Request:
        if self.boundary:
            return self._iam("PutRolePermissionsBoundary", PermissionsBoundary=self.boundary)
        return self._iam("DeleteRolePermissionsBoundary")

    def _iam(self, operation: str, **params: Any) -> Request:
        return iam(operation, RoleName=self.name, **params)


def training_role(settings: Settings) -> Role:
    """For training and tuning on SageMaker."""
    return _role(settings, "training", training)


def endpoint_role(settings: Settings) -> Role:
    """For endpoints and batch transform."""
    return _role(settings, "endpoint", endpoint)


def function_role(settings: Settings) -> Role:
    """For the Lambda function."""
    return _role(settings, "lambda", function)


def ec2_role(settings: Settings) -> Role:
    """For an EC2 instance that trains, which assumes it through an instance profile."""
    return _role(settings, "ec2", ec2)


def notebook_role(settings: Settings) -> Role:
    """For the notebook instance."""
    return _role(settings, "notebook", notebook)


def _role(settings: Settings, purpose: str, policies: ModuleType) -> Role:
    return Role(
        name=settings.role_name(purpose),
        trust=policies.trust(settings),
        policy=policies.policy(settings),
        tags=settings.tags,
        boundary=settings.iam.permissions_boundary,
    )


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _rights(before: Document | None, after: Document) -> str:
    return document.delta([before] if before else [], [after]) or "the same rights for others, or within other bounds"


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    request = iam("ListRoleTags", RoleName=name)
    return tags_of((lookup(call, request) or {}).get("Tags", ()))


def _remove(name: str, settings: Settings) -> Step:
    return Role(name=name, trust={}, policy={}, tags=settings.tags).remove()


_listing: Callable[[Settings, Call], Iterator[str]] = listing(
    "iam", "ListRoles", "Roles", "RoleName", token=("Marker", "Marker")
)


def _names(settings: Settings, call: Call) -> Iterator[str]:
    return (name for name in _listing(settings, call) if name != settings.role_name(DEPLOYER))


KIND = ResourceKind(name="role", names=_names, tags=_tags, remove=_remove)
