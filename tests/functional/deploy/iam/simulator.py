"""The policy simulator as the proof asks it: which requests a set of documents allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.iam.document import Document
from localcloud.authorization import simulator
from localcloud.authorization.needs import ACCOUNT, Need
from localcloud.authorization.simulator import Policies

ASKS = f"arn:aws:iam::{ACCOUNT}:role/asks"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A need, and the name of the documents that are asked."""

    policy: str
    need: Need


class Simulator:
    """localcloud's simulator decides many cases at once."""

    def __init__(self, process: simulator.Simulator) -> None:
        self._process = process

    def allowed(self, policies: Mapping[str, Sequence[Document]], cases: Sequence[Case]) -> list[bool]:
        """Whether each case is allowed. Raises ValueError for an action, ARN or document that does not exist in AWS."""
        held = {
            name: Policies(identity=tuple(json.dumps(each) for each in documents))
            for name, documents in policies.items()
        }
        asked = [
            simulator.Case(principal=ASKS, account=ACCOUNT, need=case.need, policies=held[case.policy])
            for case in cases
        ]
        verdicts = self._process.decide(asked)
        wrong = [f"{case.need}: {each.error}" for case, each in zip(cases, verdicts, strict=True) if each.error]
        if wrong:
            raise ValueError("\n".join(wrong))
        return [verdict.is_allowed for verdict in verdicts]

    def denied(self, documents: Sequence[Document], needs: Iterable[Need]) -> list[Need]:
        """Those of the needs that the documents do not allow."""
        needed = list(needs)
        answers = self.allowed({"it": documents}, [Case(policy="it", need=need) for need in needed])
        return [need for need, is_allowed in zip(needed, answers, strict=True) if not is_allowed]
