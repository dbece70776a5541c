"""iam: each role of the stage, who may take it and what it may do; and the policies to paste for who deploys.

It asks AWS nothing: all follows from deploy.toml.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.iam.document import MANAGED_LIMIT, Document, as_list, size, statements_of, terms
from deploy.iam.policies import auditor, deployer
from deploy.iam.role import DEPLOYER, ec2_role, endpoint_role, function_role, notebook_role, training_role

HEADINGS = ("right", "allows", "on", "where")
AUDITOR = "auditor"
WIDTH = 70


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A role: who may take it (no trust: whoever it is attached to), its policies by name, what bounds it."""

    name: str
    trust: Document | None
    policies: Mapping[str, Document]
    boundary: str = ""

    @property
    def takers(self) -> str:
        if self.trust is None:
            return "attach these policies to who uses them"
        statement = statements_of(self.trust)[0]
        who = ", ".join(each for value in statement["Principal"].values() for each in as_list(value))
        where = terms(statement.get("Condition", {}))
        return f"taken by {who}" + (f" where {where}" if where else "")

    def rows(self) -> list[tuple[str, str, str, str]]:
        """A row for each statement, under HEADINGS."""
        return [
            (
                statement["Sid"],
                "\n".join(_by_service(statement["Action"])),
                "\n".join(as_list(statement["Resource"])),
                terms(statement.get("Condition", {})),
            )
            for found in self.policies.values()
            for statement in statements_of(found)
        ]

    def to_json(self) -> dict[str, Any]:
        return {"role": self.name, "trust": self.trust, "policies": dict(self.policies), "boundary": self.boundary}


def sheets(settings: Settings) -> list[Sheet]:
    """The stage's roles, those that only some verbs make among them, then the deployer and the auditor."""
    makers = (training_role, endpoint_role, function_role, ec2_role, notebook_role)
    roles = [
        Sheet(name=role.name, trust=role.trust, policies={role.name: role.policy}, boundary=role.boundary)
        for role in (make(settings) for make in makers)
    ]
    trust = deployer.trust(settings) if settings.iam.deployer_principal else None
    audits = settings.role_name(AUDITOR)
    return [
        *roles,
        Sheet(name=settings.role_name(DEPLOYER), trust=trust, policies=deployer_documents(settings)),
        Sheet(name=audits, trust=None, policies={audits: auditor.policy(settings)}),
    ]


def deployer_documents(settings: Settings) -> dict[str, Document]:
    """The deployer's policies by the names under which to make them."""
    prefix = settings.role_name(DEPLOYER)
    return {f"{prefix}-{topic}": found for topic, found in deployer.policies(settings).items()}


def show(found: Sequence[Sheet], screen: Screen) -> None:
    """Every role for people: who takes it, then its rights as a table."""
    for sheet in found:
        screen.say(f"\n{sheet.name}: {sheet.takers}" + (f"; bounded by {sheet.boundary}" if sheet.boundary else ""))
        screen.table(HEADINGS, [cells for row in sheet.rows() for cells in _lines(row)])


def show_deployer(settings: Settings, out: Screen, notes: Screen) -> None:
    """The deployer's policies to paste, one JSON document each; what is said of them goes to `notes`."""
    found = deployer_documents(settings)
    notes.say(
        f"{len(found)} policies, since all together are longer than the {MANAGED_LIMIT} characters that IAM takes in "
        "one.\nMake each under its name (IAM, Policies, Create policy, JSON) and attach all of them to who deploys:"
    )
    for name, policy in found.items():
        notes.say(f"\n{name}: {size(policy)} of {MANAGED_LIMIT} characters")
        out.say(json.dumps(policy, indent=2))


def _by_service(actions: Sequence[str]) -> list[str]:
    """Each service with its actions, `s3: GetObject, PutObject`, in lines of at most WIDTH characters."""
    services: dict[str, list[str]] = {}
    for action in actions:
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    return [
        line
        for service, names in services.items()
        for line in textwrap.wrap(f"{service}: {', '.join(names)}", WIDTH, subsequent_indent="  ")
    ]


def _lines(row: tuple[str, str, str, str]) -> list[tuple[str, ...]]:
    """A row of many lines as many rows, so that it reads as well when piped."""
    columns = [cell.split("\n") for cell in row]
    height = max(len(column) for column in columns)
    return [tuple(column[line] if line < len(column) else "" for column in columns) for line in range(height)]
