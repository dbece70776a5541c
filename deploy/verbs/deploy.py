"""deploy: makes it so."""

from __future__ import annotations

from deploy.desired import foundation
from deploy.errors import DeployError
from deploy.models import Step
from deploy.session import Session
from deploy.verbs.plan import desired


def deploy(session: Session) -> tuple[Step, ...]:
    """Returns the steps that changed something. Raises DeployError before a model is trained."""
    resources = desired(session)
    if len(resources) == len(foundation(session.settings)):
        raise DeployError(f"{session.settings.prefix}: no model is trained yet; run ./inv data train first")
    return session.settle(resources).changes
