"""deploy: makes it so, then asks the new versions their golden pictures."""

from __future__ import annotations

from functools import partial

from contract.golden import Golden
from deploy.commands.plan import Untrained, desired
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
    """Returns the steps that changed something. Raises DeployError before a model is trained, and when a new version
    does not answer as its training did: then the old one is back."""
    resources = desired(session)
    for each in resources:
        if isinstance(each, Untrained):
            raise DeployError(f"{each.name}: {each.lack}")
    todo = session.plan(resources)
    preflight.serving(session, todo)
    todo = session.settle(resources, todo)
    for endpoint in (each for each in resources if isinstance(each, Endpoint)):
        if is_unproven(session, endpoint):
            verify(session, endpoint)
    return todo.changes


def is_unproven(session: Session, endpoint: Endpoint) -> bool:
    """Whether its golden pictures are still to be asked, perhaps since an earlier deploy was cut off before that.

    An async endpoint is not asked (its instances may be none): its containers have asked themselves.
    """
    if not endpoint.spec.section.rollout.golden or endpoint.spec.is_async:
        return False
    seen = endpoint.read(session.call)
    return seen is not None and seen.tags.get(PROVEN_TAG) != key_of(endpoint.config)


def verify(session: Session, endpoint: Endpoint) -> None:
    """Asks each variant the golden pictures of its training, and notes that they were answered. Raises DeployError when
    an answer differs; the endpoint is then back at what it was before."""
    session.begin_changes()
    tolerance = endpoint.spec.section.rollout.golden_tolerance or None  # 0: as packaged
    for variant, what in endpoint.serves.items():
        pictures = golden.fetch(str(what["ModelDataUrl"]), session.call)
        target = variant if len(endpoint.serves) > 1 else ""
        wrong = golden.disagreements(pictures, partial(_answer, session, endpoint.name, target), tolerance)
        if wrong:
            _go_back(session, endpoint, f"{endpoint.name}, {variant}: {wrong[0]}")
        count = f"{len(pictures)} golden pictures answered as in training" if pictures else "no golden pictures to ask"
        session.screen.say(f"   {endpoint.name}, {variant}: {count}")
    session.call(record(endpoint.spec.arn, PROVEN_TAG, key_of(endpoint.config)))


def _answer(session: Session, endpoint: str, variant: str, picture: Golden) -> object:
    question = Question(endpoint=endpoint, picture=picture.picture, variant=variant, accept=PROBABILITIES)
    return ask(question, session.call)


def _go_back(session: Session, endpoint: Endpoint, why: str) -> None:
    """Raises DeployError in any case: the version that was deployed is wrong."""
    with session.changing():
        seen = look(session, endpoint.spec)
        config = _before(endpoint.name, seen)
        fix = f"./inv logs {endpoint.name} shows what it wrote; train again, or mend the serving image"
        if not config:
            raise DeployError(f"{why}\nthere is nothing to go back to, so it still answers so; {fix}")
        return_to(session, endpoint.spec, seen, config, reason="its golden pictures are not answered as in training")
    raise DeployError(f"{why}\nrolled back: {endpoint.name} is at {config} again; {fix}")


def _before(name: str, seen: State) -> str:
    """The configuration before the running one, or ""."""
    past = history(seen.tags)
    at = past.index(key_of(str(seen.fields["config"]))) if key_of(str(seen.fields["config"])) in past else 0
    return named(name, past[at - 1]) if at else ""
