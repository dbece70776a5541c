"""A session plans, applies under the stage's lock, and says once where it acts."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.session import Session
from deploy.values import Call, Plan, Request, State, Step
from tests.unit.deploy.fakes import FakeAws, FakeTime

LOCK = {"PutObject": {"ETag": "e"}}
CREATE = Request(service="iam", operation="CreateRole")


@dataclass
class FakeResource:
    """A resource that is read from a list of states, one after another; the last for ever."""

    states: list[State | None]
    reads: int = 0
    address: str = field(default="role/r")

    def read(self, _: Call) -> State | None:
        self.reads += 1
        return self.states[min(self.reads, len(self.states)) - 1]

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            return Step(action="create", address=self.address, reason="does not exist", acts=(CREATE,))
        return Step(action="none", address=self.address, reason="as it should be")


@dataclass
class Desk:
    session: Session
    aws: FakeAws
    out: io.StringIO

    @property
    def said(self) -> str:
        return self.out.getvalue()


@pytest.fixture
def desk(settings: Settings) -> Desk:
    aws, out = FakeAws(LOCK), io.StringIO()
    screen = Screen(out=out)
    return Desk(Session(settings=settings, call=aws, build=str, screen=screen, clock=FakeTime().clock()), aws, out)


def test_planning_changes_nothing(desk: Desk) -> None:
    made = desk.session.plan([FakeResource([None])])
    assert [step.action for step in made.changes] == ["create"]
    assert desk.aws.operations == []
    assert desk.said == ""


def test_settling_plans_again_under_the_lock(desk: Desk) -> None:
    resource = FakeResource([None, State()])  # another command made it while this one waited
    assert desk.session.settle([resource]).changes == ()
    assert resource.reads == 2
    assert "CreateRole" not in desk.aws.operations
    assert desk.aws.operations[-2:] == ["PutObject", "DeleteObject"]


def test_a_plan_that_the_caller_has_looked_at_is_not_made_anew_before_the_lock(desk: Desk) -> None:
    resource = FakeResource([None])
    planned = desk.session.plan([resource])
    made = desk.session.settle([resource], planned)
    assert resource.reads == 2
    assert [step.address for step in made.changes] == ["role/r"]
    sent = desk.aws.operations
    assert sent.index("PutObject") < sent.index("CreateRole") < sent.index("DeleteObject")


def test_settling_what_is_as_it_should_be_takes_no_lock_and_says_nothing(desk: Desk) -> None:
    assert desk.session.settle([FakeResource([State()])]).changes == ()
    assert desk.aws.operations == []
    assert desk.said == ""


def test_a_change_inside_a_change_does_not_wait_for_its_own_lock(desk: Desk) -> None:
    step = FakeResource([None]).plan(None)
    with desk.session.changing():
        desk.session.apply(Plan(steps=(step,)))
    assert desk.aws.operations.count("DeleteObject") == 1


def test_where_a_command_acts_is_said_once(desk: Desk) -> None:
    desk.session.begin_changes()
    desk.session.settle([FakeResource([None])])
    assert desk.said.count("stage local: account 123456789012, us-east-1") == 1


def test_with_the_credentials_of_another_account_nothing_is_sent(desk: Desk) -> None:
    def refuse() -> str:
        raise DeployError("account 210987654321")

    desk.session.check_account = refuse
    with pytest.raises(DeployError, match="account 210987654321"):
        desk.session.settle([FakeResource([None])])
    assert desk.aws.operations == []
