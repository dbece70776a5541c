"""Deregisters the scaling of endpoint variants that are about to change or go, before the endpoint is updated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.autoscaling.scalable_target import deregister, tags_at, targets
from deploy.autoscaling.variants import running_forms
from deploy.errors import DeployError
from deploy.planning.resource import is_ours, unchanged
from deploy.values import Call, State, Step


@dataclass(frozen=True, kw_only=True)
class Release:
    """The scalable targets to deregister before an endpoint is updated: those of variants that go or change (rules 53,
    54), and our own where autoscaling is now off.

    `forms` are the variants as they should be: ResourceId → form. In a plan the release comes before the endpoint.
    """

    endpoint: str
    forms: Mapping[str, str]
    scales: bool
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"release/{self.endpoint}"

    def read(self, call: Call) -> State | None:
        prefix = f"endpoint/{self.endpoint}/variant/"
        registered = [each for each in targets("sagemaker", call) if each["ResourceId"].startswith(prefix)]
        running = running_forms(self.endpoint, call) if registered else {}
        fields = {
            each["ResourceId"]: {
                "form": running.get(each["ResourceId"]),
                "is_ours": is_ours(tags_at(each["ScalableTargetARN"], call), self.tags),
            }
            for each in registered
        }
        return State(fields=fields) if registered else None

    def plan(self, observed: State | None) -> Step:
        fields = {} if observed is None else observed.fields
        going = {key: reason for key, target in fields.items() if (reason := self._reason(key, target))}
        if not going:
            return unchanged(self.address)
        return Step(
            action="delete",
            address=self.address,
            reason="; ".join(f"{key.split('/')[-1]} {reason}" for key, reason in going.items()),
            acts=tuple(act for key in going for act in deregister(key)),
            touches="the capacity stays as it is and does not scale meanwhile",
        )

    def _reason(self, resource: str, target: Mapping[str, Any]) -> str:
        """Why a target is deregistered, or "". Raises DeployError for one that must go and is not ours (rule 53)."""
        if target["form"] is None or self.forms.get(resource) == target["form"]:
            return "" if self.scales or not target["is_ours"] else "does not scale any more"
        if not target["is_ours"]:
            raise DeployError(
                f"{resource}: another tool registered this variant for scaling, and AWS does not let it change or go "
                "until the target is deregistered; deregister it with that tool, then ./inv deploy"
            )
        return "changes or goes, so it must not scale"
