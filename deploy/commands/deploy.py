"""deploy: applies the plan, then checks each new version with its golden pictures."""

from __future__ import annotations

from functools import partial

from contract.golden import Golden
from deploy.commands.plan import desired
from deploy.commands.rollback import look, return_to
from deploy.costs import preflight
from deploy.endpoints import golden
from deploy.endpoints.endpoint import PROVEN_TAG, Endpoint, record
from deploy.endpoints.endpoint_config import key_of, named
from deploy.endpoints.history import history
from deploy.endpoints.invoke import PROBABILITIES, Question, ask
from deploy.errors import DeployError
from deploy.session import Session
from deploy.values import State, Step


def deploy(session: Session) -> tuple[Step, ...]:
    """Returns the steps that changed something.

    Raises DeployError for an endpoint whose model is not trained yet, and for a new version whose answers differ from
    its training's; in that case the endpoint is rolled back.
    """
    goal = desired(session)
    for step in goal.untrained:
        raise DeployError(f"{step.name}: {step.reason}")
    resources = (*goal.resources, *goal.obsolete)
    todo = session.plan(resources)
    preflight.serving(session, todo)
    todo = session.settle(resources, todo)
    for endpoint in (each for each in resources if isinstance(each, Endpoint)):
        if is_unproven(session, endpoint):
            verify(session, endpoint)
    return todo.changes


def is_unproven(session: Session, endpoint: Endpoint) -> bool:
    """Whether the running version still needs its golden check, for instance after an interrupted deploy.

    An async endpoint needs none: it may have no instance, and its containers check themselves at their start.
    """
    if not endpoint.spec.section.rollout.golden or endpoint.spec.is_async:
        return False
    state = endpoint.read(session.call)
    return state is not None and state.tags.get(PROVEN_TAG) != key_of(endpoint.config)


def verify(session: Session, endpoint: Endpoint) -> None:
    """Sends each variant the golden pictures of its training, then tags the endpoint as checked.

    Raises DeployError for an answer that differs, after rolling the endpoint back.
    """
    session.begin_changes()
    tolerance = endpoint.spec.section.rollout.golden_tolerance or None  # 0: the tolerance packaged with the model
    for variant, container in endpoint.serves.items():
        pictures = golden.fetch(str(container["ModelDataUrl"]), session.call)
        target = variant if len(endpoint.serves) > 1 else ""
        wrong = golden.disagreements(pictures, partial(_answer, session, endpoint.name, target), tolerance)
        if wrong:
            _roll_back(session, endpoint, f"{endpoint.name}, {variant}: {wrong[0]}")
        count = (
            f"{len(pictures)} golden pictures answered as in training" if pictures else "no golden pictures to check"
        )
        session.screen.say(f"   {endpoint.name}, {variant}: {count}")
    session.call(record(endpoint.spec.arn, PROVEN_TAG, key_of(endpoint.config)))


def _answer(session: Session, endpoint: str, variant: str, picture: Golden) -> object:
    question = Question(endpoint=endpoint, picture=picture.picture, variant=variant, accept=PROBABILITIES)
    return ask(question, session.call)


def _roll_back(session: Session, endpoint: Endpoint, why: str) -> None:
    """Returns the endpoint to its previous configuration, then raises DeployError because the new version is wrong."""
    with session.changing():
        state = look(session, endpoint.spec)
        config = _previous(endpoint.name, state)
        fix = f"./inv logs {endpoint.name} shows its log; train again, or fix the serving image"
        if not config:
            raise DeployError(
                f"{why}\nthere is no earlier version to roll back to, so the endpoint still serves this one; {fix}"
            )
        return_to(session, endpoint.spec, state, config, reason="its golden answers differ from training's")
    raise DeployError(f"{why}\nrolled back: {endpoint.name} runs {config} again; {fix}")


def _previous(name: str, state: State) -> str:
    """The configuration before the running one, or ""."""
    past, running = history(state.tags), key_of(str(state.fields["config"]))
    at = past.index(running) if running in past else 0
    return named(name, past[at - 1]) if at else ""
