"""A finding of the review, and the review as a table, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["critical", "high", "medium", "low", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "unknown")
SEVERE = ("critical", "high")
HEADINGS = ("severity", "what", "finding", "fix")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong: `what` is kind/name, `fix` a command or steps. The severity is "unknown" where these
    credentials may not look."""

    severity: Severity
    what: str
    finding: str
    fix: str

    @property
    def row(self) -> tuple[str, str, str, str]:
        return self.severity, self.what, self.finding, self.fix


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by kind and name."""
    return sorted(set(findings), key=lambda each: (SEVERITIES.index(each.severity), each.what, each.finding))


def is_severe(findings: Iterable[Finding]) -> bool:
    return any(each.severity in SEVERE for each in findings)


def markdown(findings: Sequence[Finding], *, account: str, region: str, when: str) -> str:
    """The review as a Markdown document."""
    counts = ", ".join(
        f"{count} {severity}"
        for severity in SEVERITIES
        if (count := sum(each.severity == severity for each in findings))
    )
    lines = [
        f"# Security review of account {account}, {region}",
        "",
        f"{when}: {counts or 'nothing found'}.",
        "",
    ]
    if findings:
        lines += [f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
        lines += [f"| {' | '.join(_cell(cell) for cell in each.row)} |" for each in findings]
    return "\n".join([*lines, ""])


def to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [vars(each) for each in findings]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("./inv", "`./inv`") if text else ""
