"""why: a ranked diagnosis of one thing, with the next command to type."""

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
    """The facts of whatever is called so, and what they mean: nothing when it is well. Changes nothing."""
    facts = Collector(
        settings=session.settings, call=session.call, images=images, now=lambda: now or datetime.now(UTC)
    ).collect(name)
    return facts, diagnose(facts)


def show(facts: Facts, found: Sequence[Diagnosis], screen: Screen) -> None:
    """For people: how it stands, then each cause with its evidence and the next command, the surest first."""
    screen.say(f"{facts.kind} {facts.name}: {facts.status or 'not there'}")
    for what, value in facts.details.items():
        screen.say(f"   {what}: {value}")
    if facts.reason:
        screen.say(f"   AWS says: {facts.reason}")
    if not found:
        screen.say("   it is well" if facts.is_well else "   it is on its way; nothing speaks against it so far")
    for number, each in enumerate(found, start=1):
        screen.say(f"{number}. {each.certainty}: {each.cause}")
        screen.say(f"   because: {each.evidence}")
        screen.say(f"   next: {each.command}")
    if found and facts.lines and all(each.certainty != "certain" for each in found):
        screen.say("   its log says:")
        for line in telling(facts.lines):
            screen.say(f"   | {line}")
    for what in facts.unreadable:
        screen.say(f"   could not look at {what}")


def to_json(facts: Facts, found: Sequence[Diagnosis]) -> dict[str, Any]:
    """The same for a script."""
    return {
        "kind": facts.kind,
        "name": facts.name,
        "status": facts.status,
        "reason": facts.reason,
        "facts": dict(facts.details),
        "diagnoses": [vars(each) for each in found],
        "log": telling(facts.lines),
        "could_not_look": list(facts.unreadable),
    }
