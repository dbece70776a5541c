"""why: diagnoses one resource and names the next command to type."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.console import Screen
from deploy.diagnosis.collect import Collector, Images
from deploy.diagnosis.facts import Facts
from deploy.diagnosis.rules import Diagnosis, diagnose, telling
from deploy.session import Session

Answer = tuple[Facts, list[Diagnosis]]


def why(session: Session, name: str, images: Images, *, now: datetime | None = None) -> Answer:
    """The facts of the resource with this name, and their diagnoses (none for a healthy one). Changes nothing."""
    facts = Collector(
        settings=session.settings, call=session.call, images=images, now=lambda: now or datetime.now(UTC)
    ).collect(name)
    return facts, diagnose(facts)


def show(facts: Facts, diagnoses: Sequence[Diagnosis], screen: Screen) -> None:
    """Shows the resource's state, then each cause with its evidence and next command, the most certain first."""
    screen.say(f"{facts.kind} {facts.name}: {facts.status or 'not found'}")
    for name, value in facts.details.items():
        screen.say(f"   {name}: {value}")
    if facts.reason:
        screen.say(f"   AWS says: {facts.reason}")
    if not diagnoses:
        screen.say("   healthy" if facts.is_well else "   in progress; no problem so far")
    for number, each in enumerate(diagnoses, start=1):
        screen.say(f"{number}. {each.certainty}: {each.cause}")
        screen.say(f"   because: {each.evidence}")
        screen.say(f"   next: {each.command}")
    if diagnoses and facts.lines and all(each.certainty != "certain" for each in diagnoses):
        screen.say("   its log:")
        for line in telling(facts.lines):
            screen.say(f"   | {line}")
    for error in facts.unreadable:
        screen.say(f"   could not read {error}")


def to_json(facts: Facts, diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    """The same as JSON-like values, for a script."""
    return {
        "kind": facts.kind,
        "name": facts.name,
        "status": facts.status,
        "reason": facts.reason,
        "facts": dict(facts.details),
        "diagnoses": [vars(each) for each in diagnoses],
        "log": telling(facts.lines),
        "could_not_look": list(facts.unreadable),
    }
