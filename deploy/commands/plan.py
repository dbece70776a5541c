"""plan: what deploy would change, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.console import Screen
from deploy.endpoints.artifacts import Trained, trained
from deploy.endpoints.checks import check
from deploy.endpoints.resources import Serving
from deploy.endpoints.spec import EndpointSpec, endpoint_specs
from deploy.planning.observe import observe
from deploy.planning.plan import plan as pure_plan
from deploy.planning.plan import summary
from deploy.planning.resource import Resource
from deploy.session import Session
from deploy.stage.desired import foundation, serving
from deploy.stage.obsolete import obsolete
from deploy.values import Call, Plan, State, Step, redacted

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "none": " "}


def desired(session: Session) -> tuple[Resource, ...]:
    """All that should be, then what should not be any more. Before a model is trained that is the foundation alone.

    Raises DeployError, before anything is asked, for settings that cannot work.
    """
    settings, call = session.settings, session.call
    specs = endpoint_specs(settings)
    check(specs)
    found = trained(settings, specs, call)
    wanted = (*foundation(settings), *_serving(session, specs, found), *_untrained(found))
    return (*wanted, *obsolete(settings, call, [each.address for each in wanted]))


def _serving(session: Session, specs: Sequence[EndpointSpec], found: Trained) -> tuple[Resource, ...]:
    if not found.artifacts:
        return ()
    image, facts = session.image("serve").uri, session.image_facts("serve")
    return serving(
        session.settings,
        endpoints=[
            Serving(spec=spec, image=image, facts=facts, artifacts=found.artifacts[spec.name])
            for spec in specs
            if spec.name in found.artifacts
        ],
        lambda_image=session.image("lambda").uri,
    )


def _untrained(found: Trained) -> tuple[Resource, ...]:
    return tuple(Untrained(name=name, lack=lack) for name, lack in found.missing.items())


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """An endpoint of deploy.toml whose model is not there yet: it stays as it is."""

    name: str
    lack: str

    @property
    def address(self) -> str:
        return f"endpoint/{self.name}"

    def read(self, _: Call) -> State | None:
        return None

    def plan(self, _: State | None) -> Step:
        return Step(action="none", address=self.address, reason=self.lack)


def plan(session: Session) -> Plan:
    """What `deploy` would do now."""
    resources = desired(session)
    return pure_plan(resources, observe(resources, session.call))


def show(todo: Plan, screen: Screen) -> None:
    """A plan for people: one line a step, its changes field by field, what it touches."""
    for step in todo.steps:
        screen.say(f"{MARKS[step.action]} {step.action:8}{step.address}: {step.reason}")
        for change in step.changes:
            screen.say(f"      {change.field}: {_short(change.before)} → {_short(change.after)}")
        if step.touches:
            screen.say("      touches: " + step.touches.replace("\n", "\n               "))
    screen.say(summary(todo.steps))


def _short(value: Any) -> str:
    text = json.dumps(redacted(value), sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"
