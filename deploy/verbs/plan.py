"""plan: what deploy would change, and why."""

from __future__ import annotations

import json
from typing import Any

from deploy.desired import foundation, serving
from deploy.errors import DeployError
from deploy.models import Plan, printable
from deploy.observe import latest_job, observe
from deploy.plan import plan as pure_plan
from deploy.plan import summary
from deploy.progress import Screen
from deploy.resources.base import Resource
from deploy.resources.endpoint import artifact_of
from deploy.session import Session

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "none": " "}


def desired(session: Session) -> tuple[Resource, ...]:
    """All that should be. Before a model is trained that is the foundation alone."""
    settings = session.settings
    job = latest_job(settings, session.call, training=settings.endpoint.training, job=settings.endpoint.job)
    if job is None and settings.endpoint.job:
        raise DeployError(f"endpoint.job: no training job is called {settings.endpoint.job}")
    if job is None:
        return foundation(settings)
    return (
        *foundation(settings),
        *serving(
            settings,
            serve_image=session.image("serve").uri,
            lambda_image=session.image("lambda").uri,
            artifact=artifact_of(job),
        ),
    )


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
            screen.say(f"      touches: {step.touches}")
    screen.say(summary(todo.steps))


def _short(value: Any) -> str:
    text = json.dumps(printable(value), sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"
