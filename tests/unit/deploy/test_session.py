"""A session plans, applies under the stage's lock, and prints once where it acts."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.session import Session
from deploy.values import Call, Plan, Request, State, Step
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

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
class SessionFixture:
    session: Session
    aws: FakeAws
    out: io.StringIO

    @property
    def said(self) -> str:
        return self.out.getvalue()


@pytest.fixture
def fixture(settings: Settings) -> SessionFixture:
    aws, out = FakeAws(LOCK), io.StringIO()
    screen = Screen(out=out)
    return SessionFixture(
        Session(settings=settings, call=aws, build=str, screen=screen, clock=FakeTime().clock()), aws, out
    )


def test_planning_changes_nothing(fixture: SessionFixture) -> None:
    made = fixture.session.plan([FakeResource([None])])
    assert [step.action for step in made.changes] == ["create"]
    assert fixture.aws.operations == []
    assert fixture.said == ""


def test_settling_plans_again_under_the_lock(fixture: SessionFixture) -> None:
    resource = FakeResource([None, State()])  # another command made it while this one waited
    assert fixture.session.settle([resource]).changes == ()
    assert resource.reads == 2
    assert "CreateRole" not in fixture.aws.operations
    assert fixture.aws.operations[-2:] == ["PutObject", "DeleteObject"]


def test_a_plan_from_the_caller_is_not_made_again_before_the_lock(fixture: SessionFixture) -> None:
    resource = FakeResource([None])
    planned = fixture.session.plan([resource])
    made = fixture.session.settle([resource], planned)
    assert resource.reads == 2
    assert [step.address for step in made.changes] == ["role/r"]
    sent = fixture.aws.operations
    assert sent.index("PutObject") < sent.index("CreateRole") < sent.index("DeleteObject")


def test_settling_without_changes_takes_no_lock_and_prints_nothing(fixture: SessionFixture) -> None:
    assert fixture.session.settle([FakeResource([State()])]).changes == ()
    assert fixture.aws.operations == []
    assert fixture.said == ""


def test_a_change_inside_a_change_does_not_wait_for_its_own_lock(fixture: SessionFixture) -> None:
    step = FakeResource([None]).plan(None)
    with fixture.session.changing():
        fixture.session.apply(Plan(steps=(step,)))
    assert fixture.aws.operations.count("DeleteObject") == 1


def test_what_only_deletes_goes_on_where_the_buckets_name_is_somebody_elses(fixture: SessionFixture) -> None:
    fixture.aws.replies = {"HeadBucket": refusal("403", "Forbidden")}
    step = FakeResource([None]).plan(None)
    fixture.session.apply(Plan(steps=(step,)))
    assert fixture.aws.operations == ["HeadBucket", "CreateRole"]
    assert "may not be read, so other commands do not wait for this one" in fixture.said
    with pytest.raises(DeployError, match="Forbidden"):
        fixture.session.settle([FakeResource([None])])


def test_where_a_command_acts_is_printed_once(fixture: SessionFixture) -> None:
    fixture.session.begin_changes()
    fixture.session.settle([FakeResource([None])])
    assert fixture.said.count("stage local: account 123456789012, us-east-1") == 1


def test_with_the_credentials_of_another_account_nothing_is_sent(fixture: SessionFixture) -> None:
    def refuse() -> str:
        raise DeployError("account 210987654321")

    fixture.session.check_account = refuse
    with pytest.raises(DeployError, match="account 210987654321"):
        fixture.session.settle([FakeResource([None])])
    assert fixture.aws.operations == []
