"""The policy simulator as a function: which requests a set of documents allows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.iam.document import Document
from tests.functional.deploy.iam.tools import Tools

ACCOUNT = "123456789012"


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right that a call needs: an action on a resource, under what is known of the request."""

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        under = f" with {dict(self.context)}" if self.context else ""
        return f"{self.action} on {self.resource}{under}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A need, and the name of the documents that are asked."""

    policy: str
    need: Need


class Simulator:
    """One process decides many cases."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def allowed(self, policies: Mapping[str, Sequence[Document]], cases: Sequence[Case]) -> list[bool]:
        """Whether each case is allowed. Raises ValueError for an action, ARN or document that does not exist in AWS."""
        unique = {id(document): document for documents in policies.values() for document in documents}
        numbers = {key: number for number, key in enumerate(unique)}
        question = {
            "account": ACCOUNT,
            "documents": list(unique.values()),
            "policies": {name: [numbers[id(each)] for each in documents] for name, documents in policies.items()},
            "cases": [{"policy": case.policy, **_case(case.need)} for case in cases],
        }
        done = subprocess.run(
            [self._tools.node, self._tools.simulator],
            input=json.dumps(question), capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        answers: list[str] = json.loads(done.stdout)
        wrong = [f"{case.need}: {each}" for case, each in zip(cases, answers, strict=True) if each.startswith("error")]
        if wrong:
            raise ValueError("\n".join(wrong))
        return [answer == "Allowed" for answer in answers]

    def denied(self, documents: Sequence[Document], needs: Iterable[Need]) -> list[Need]:
        """Those of the needs that the documents do not allow."""
        needed = list(needs)
        answers = self.allowed({"it": documents}, [Case(policy="it", need=need) for need in needed])
        return [need for need, is_allowed in zip(needed, answers, strict=True) if not is_allowed]


def _case(need: Need) -> dict[str, Any]:
    return {"action": need.action, "resource": need.resource, "context": dict(need.context)}
