"""plan: shows what deploy would change, and why."""

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
from deploy.values import Plan, Step, redacted

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "none": " "}


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What the stage should consist of: `resources` that should exist, in the order in which to make them, and
    `obsolete` ones that should not. `untrained` are steps that do nothing: endpoints that stay as they are, because
    their model is not trained yet."""

    resources: tuple[Resource, ...]
    obsolete: tuple[Resource, ...] = ()
    untrained: tuple[Step, ...] = ()


def desired(session: Session) -> Desired:
    """From deploy.toml and the newest models. Before a model is trained, the resources are the foundation alone.

    Raises DeployError for settings that cannot work, before the first request.
    """
    settings, call = session.settings, session.call
    specs = endpoint_specs(settings)
    check(specs)
    models = trained(settings, specs, call)
    untrained = tuple(
        Step(action="none", address=f"endpoint/{name}", reason=reason) for name, reason in models.missing.items()
    )
    resources = (*foundation(settings), *_serving(session, specs, models))
    kept = [*(each.address for each in resources), *(step.address for step in untrained)]
    gone = obsolete(settings, call, kept, say=session.screen.say)
    return Desired(resources=resources, obsolete=gone, untrained=untrained)


def _serving(session: Session, specs: Sequence[EndpointSpec], models: Trained) -> tuple[Resource, ...]:
    if not models.artifacts:
        return ()
    image, facts = session.image("serve").uri, session.image_facts("serve")
    return serving(
        session.settings,
        endpoints=[
            Serving(spec=spec, image=image, facts=facts, artifacts=models.artifacts[spec.name])
            for spec in specs
            if spec.name in models.artifacts
        ],
        lambda_image=session.image("lambda").uri,
    )


def plan(session: Session) -> Plan:
    """What `deploy` would do now."""
    goal = desired(session)
    snapshot = observe((*goal.resources, *goal.obsolete), session.call)
    made, deleted = pure_plan(goal.resources, snapshot), pure_plan(goal.obsolete, snapshot)
    return Plan(steps=(*made.steps, *goal.untrained, *deleted.steps), known=made.known)


def show(todo: Plan, screen: Screen) -> None:
    """Shows a plan: a line for each step, the fields that change, and what the step touches."""
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
