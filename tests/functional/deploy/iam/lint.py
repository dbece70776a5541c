"""Runs in an environment of its own: reads documents by name from stdin, prints rows of [name, finding, detail]."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

warnings.simplefilter("ignore")

from cloudsplaining.scan.policy_document import PolicyDocument  # type: ignore[import-not-found]  # noqa: E402
from parliament import analyze_policy_string  # type: ignore[import-not-found]  # noqa: E402


def parliament(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for finding in analyze_policy_string(json.dumps(document)).findings:
        yield f"parliament {finding.issue}", f"{finding.detail} {finding.location}"


def cloudsplaining(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    policy = PolicyDocument(document)
    problems = {
        "privilege escalation": policy.allows_privilege_escalation,
        "data exfiltration": policy.allows_data_exfiltration_actions,
        "resource exposure": policy.permissions_management_without_constraints,
        "infrastructure modification": policy.infrastructure_modification,
        "credentials exposure": policy.credentials_exposure,
        "service wildcard": policy.service_wildcard,
    }
    for what, actions in problems.items():
        if actions:
            yield f"cloudsplaining {what}", json.dumps(actions)


documents: dict[str, dict[str, Any]] = json.load(sys.stdin)
json.dump(
    [
        [name, what, detail]
        for name, document in documents.items()
        for look in (parliament, cloudsplaining)
        for what, detail in look(document)
    ],
    sys.stdout,
)
