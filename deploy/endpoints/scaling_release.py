"""Stops the scaling of endpoint variants that are about to change or go, before the endpoint is updated."""

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
    """What must not scale while its endpoint moves: targets of variants that go or change (rules 53, 54), and ours
    where the endpoint does not scale any more.

    `forms` are the variants as they should be: ResourceId → form. It stands before the endpoint in a plan.
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
        found = [each for each in targets("sagemaker", call) if each["ResourceId"].startswith(prefix)]
        running = running_forms(self.endpoint, call) if found else {}
        fields = {
            each["ResourceId"]: {
                "form": running.get(each["ResourceId"]),
                "is_ours": is_ours(tags_at(each["ScalableTargetARN"], call), self.tags),
            }
            for each in found
        }
        return State(fields=fields) if found else None

    def plan(self, seen: State | None) -> Step:
        reasons = {} if seen is None else {key: self._reason(key, each) for key, each in seen.fields.items()}
        going = {key: reason for key, reason in reasons.items() if reason}
        if not going:
            return unchanged(self.address)
        return Step(
            action="delete",
            address=self.address,
            reason="; ".join(f"{key.split('/')[-1]} {reason}" for key, reason in going.items()),
            acts=tuple(act for key in going for act in deregister(key)),
            touches="the capacity stays as it is and does not scale",
        )

    def _reason(self, resource: str, seen: Mapping[str, Any]) -> str:
        """Why a target is released, or "". Raises DeployError for one that must be and is not ours."""
        if seen["form"] is None or self.forms.get(resource) == seen["form"]:
            return "" if self.scales or not seen["is_ours"] else "does not scale any more"
        if not seen["is_ours"]:
            raise DeployError(
                f"{resource}: is registered for scaling by somebody else, and its variant cannot change or go until "
                "that is deregistered; do it where it was made (rule 53)"
            )
        return "changes or goes, and must not scale then"
