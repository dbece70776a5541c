"""A customer managed policy, for documents that are too long to be inline in a role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import iam
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.iam import document
from deploy.iam.document import Document
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, Request, State, Step, differences


@dataclass(frozen=True, kw_only=True)
class ManagedPolicy:
    """A desired policy. An update deletes the version before it, because IAM keeps at most five."""

    name: str
    arn: str
    document: Document
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"policy/{self.name}"

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._iam("GetPolicy"))
        if answer is None:
            return None
        version = answer["Policy"]["DefaultVersionId"]
        content = call(self._iam("GetPolicyVersion", VersionId=version))["PolicyVersion"]["Document"]
        return State(
            fields={"document": json.loads(content) if isinstance(content, str) else content},
            attributes={"arn": self.arn, "version": version},
            tags=tags_of(answer["Policy"].get("Tags", ())),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            request = self._create()
            rights = document.delta([], [self.document])
            return Step(action="create", address=self.address, reason="does not exist", acts=(request,), touches=rights)
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, {"document": self.document})
        if not changes:
            return unchanged(self.address)
        text = json.dumps(self.document)
        acts = (
            self._iam("CreatePolicyVersion", PolicyDocument=text, SetAsDefault=True),
            self._iam("DeletePolicyVersion", VersionId=observed.attributes["version"]),
        )
        rights = document.delta([observed.fields["document"]], [self.document])
        return Step(action="update", address=self.address, reason="differs", acts=acts, changes=changes, touches=rights)

    def remove(self) -> Step:
        return delete(self.address, self._iam("DeletePolicy"))

    def _create(self) -> Request:
        params = {"PolicyName": self.name, "PolicyDocument": json.dumps(self.document), "Tags": tag_list(self.tags)}
        return iam("CreatePolicy", **params)

    def _iam(self, operation: str, **params: Any) -> Request:
        return iam(operation, PolicyArn=self.arn, **params)


def named(settings: Settings, name: str, content: Document) -> ManagedPolicy:
    """A policy of the stage."""
    return ManagedPolicy(name=name, arn=settings.arn("iam", f"policy/{name}"), document=content, tags=settings.tags)


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    request = iam("ListPolicyTags", PolicyArn=settings.arn("iam", f"policy/{name}"))
    return tags_of((lookup(call, request) or {}).get("Tags", ()))


KIND = ResourceKind(
    name="policy",
    names=listing("iam", "ListPolicies", "Policies", "PolicyName", token=("Marker", "Marker"), Scope="Local"),
    tags=_tags,
    remove=lambda name, settings: named(settings, name, {}).remove(),
    keep="deployer",
)
