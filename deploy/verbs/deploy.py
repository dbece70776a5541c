"""deploy: makes it so."""

from __future__ import annotations

from deploy.errors import DeployError
from deploy.models import Step
from deploy.session import Session
from deploy.verbs.plan import Untrained, desired


def deploy(session: Session) -> tuple[Step, ...]:
    """Returns the steps that changed something. Raises DeployError before a model is trained."""
    resources = desired(session)
    for each in resources:
        if isinstance(each, Untrained):
            raise DeployError(f"{each.name}: {each.lack}")
    return session.settle(resources).changes
