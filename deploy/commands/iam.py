"""iam: shows each role of the stage, who may assume it and what it may do, and the policies of the deployer.

It sends no request: everything follows from deploy.toml.
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

HEADINGS = ("permission", "allows", "on", "where")
AUDITOR = "auditor"
WIDTH = 70


@dataclass(frozen=True, kw_only=True)
class RoleSheet:
    """A role: its trust policy (None: policies to attach to a user), its policies by name, its permissions boundary."""

    name: str
    trust: Document | None
    policies: Mapping[str, Document]
    boundary: str = ""

    @property
    def assumed_by(self) -> str:
        if self.trust is None:
            return "attach these policies to the users who need them"
        statement = statements_of(self.trust)[0]
        who = ", ".join(each for value in statement["Principal"].values() for each in as_list(value))
        condition = terms(statement.get("Condition", {}))
        return f"assumed by {who}" + (f" where {condition}" if condition else "")

    def rows(self) -> list[tuple[str, str, str, str]]:
        """A row for each statement, under HEADINGS."""
        return [
            (
                statement["Sid"],
                "\n".join(_by_service(statement["Action"])),
                "\n".join(as_list(statement["Resource"])),
                terms(statement.get("Condition", {})),
            )
            for policy in self.policies.values()
            for statement in statements_of(policy)
        ]

    def to_json(self) -> dict[str, Any]:
        return {"role": self.name, "trust": self.trust, "policies": dict(self.policies), "boundary": self.boundary}


def sheets(settings: Settings) -> list[RoleSheet]:
    """The stage's roles (all of them, also those that only some commands create), then the deployer and the auditor."""
    makers = (training_role, endpoint_role, function_role, ec2_role, notebook_role)
    roles = [
        RoleSheet(name=role.name, trust=role.trust, policies={role.name: role.policy}, boundary=role.boundary)
        for role in (make(settings) for make in makers)
    ]
    trust = deployer.trust(settings) if settings.iam.deployer_principal else None
    audits = settings.role_name(AUDITOR)
    return [
        *roles,
        RoleSheet(name=settings.role_name(DEPLOYER), trust=trust, policies=deployer_documents(settings)),
        RoleSheet(name=audits, trust=None, policies={audits: auditor.policy(settings)}),
    ]


def deployer_documents(settings: Settings) -> dict[str, Document]:
    """The deployer's policies by the names to create them under."""
    prefix = settings.role_name(DEPLOYER)
    return {f"{prefix}-{topic}": policy for topic, policy in deployer.policies(settings).items()}


def show(roles: Sequence[RoleSheet], screen: Screen) -> None:
    """Shows each role: who may assume it, then its permissions as a table."""
    for sheet in roles:
        screen.say(f"\n{sheet.name}: {sheet.assumed_by}" + (f"; bounded by {sheet.boundary}" if sheet.boundary else ""))
        screen.table(HEADINGS, [cells for row in sheet.rows() for cells in _lines(row)])


def show_deployer(settings: Settings, out: Screen, notes: Screen) -> None:
    """Writes the deployer's policies to `out`, a JSON document each, and instructions to `notes`."""
    documents = deployer_documents(settings)
    notes.say(
        f"{len(documents)} policies, because a policy has at most {MANAGED_LIMIT} characters.\n"
        "Create each under its name (IAM, Policies, Create policy, JSON), then attach all to the user who deploys:"
    )
    for name, policy in documents.items():
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
    """Splits a row with several lines into several rows, for output that is piped."""
    columns = [cell.split("\n") for cell in row]
    height = max(len(column) for column in columns)
    return [tuple(column[line] if line < len(column) else "" for column in columns) for line in range(height)]
