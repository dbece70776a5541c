"""A stage is made, used and deleted while AWS sees what is new 15 seconds late and throttles one request in twenty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.commands import notebook
from deploy.commands.data import push
from deploy.commands.deploy import deploy
from deploy.commands.down import down
from deploy.commands.rollback import rollback_function
from deploy.commands.status import status
from deploy.commands.train import job_request, train
from deploy.config.general import Iam
from deploy.config.settings import choose, parse
from deploy.jobs.ec2 import Ec2Backend
from deploy.stage.desired import foundation
from localcloud.errors import ApiError
from localcloud.faults.lag import Kind, Lag
from localcloud.faults.late import (
    BUCKET,
    ENDPOINT_CONFIG,
    INSTANCE_PROFILE,
    KINDS,
    LOG_GROUP,
    POLICY,
    PROFILE_ROLE,
    ROLE,
    ROLE_POLICY,
)
from localcloud.faults.throttle import Throttle
from localcloud.gateway.requests import AnyCall, Gate
from tests.functional.deploy.commands.test_commands import TOML, Desk
from tests.functional.deploy.local_aws import local_aws
from tests.unit.deploy.fakes import FakeTime

START = datetime(2026, 1, 1, tzinfo=UTC)


class Counted:
    """A gate, and how often it refused each operation."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.refused = gate, Counter[str]()

    def refuse(self, call: AnyCall) -> ApiError | None:
        error = self.gate.refuse(call)
        if error is not None:
            self.refused[f"{call.operation}: {error.code}"] += 1
        return error

    def answered(self, call: AnyCall, status: int) -> None:
        self.gate.answered(call, status)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "pets"


@contextmanager
def bad_day(*kinds: Kind, throttle: float = 0, time: FakeTime | None = None) -> Iterator[tuple[Desk, Counted, Counted]]:
    """A desk on a local AWS that sees these kinds late and throttles a share of the requests; both gates.

    The lag's clock is the one on which the commands wait, so nothing waits for real.
    """
    time = time or FakeTime()
    lag = Lag(
        kinds=kinds, seconds=15, now=lambda: START + timedelta(seconds=time.time), account="123456789012",
        region="us-east-1",
    )  # fmt: skip
    late, throttled = Counted(lag), Counted(Throttle(share=throttle, seed=7))
    with local_aws(throttled, late, clock=time.clock().now) as url:
        chosen = choose(parse(TOML.read_text()), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": url})
        made = Desk(chosen.model_copy(update={"stage": stage}))
        made.client.clock = made.session.clock = time.clock()
        yield made, late, throttled


def test_a_stage_is_made_changed_and_deleted_through_lag_and_throttling(pictures: Path) -> None:
    with bad_day(*KINDS, throttle=0.05) as (desk, late, throttled):
        session = desk.session
        push(session, pictures, "pets")
        assert train(session, "pets").status == "Completed"
        assert deploy(session)
        assert deploy(session) == ()
        desk.images["lambda"] = "kennel/lambda:2"
        assert [step.kind for step in deploy(session)] == ["function", "alias"]
        notebook.create(session, lambda *_: True)
        assert {row.name for row in status(session)[0] if row.kind == "endpoint"} == {"kennel-local"}
        down(session, lambda _: True, also={"data"})
        assert {row.kind for row in status(session)[0]} == {"job"}  # AWS keeps jobs for ever
    assert throttled.refused.total() > 10
    assert len(late.refused) >= 4


# With all kinds late at once, the wait for one hides the next. So each is late alone here.
@pytest.mark.parametrize(
    ("kind", "met"),
    [
        (ROLE, "PutRolePolicy: NoSuchEntity"),
        (ROLE_POLICY, "CreateTrainingJob: ValidationException"),
        (BUCKET, "PutBucketTagging: NoSuchBucket"),
        (LOG_GROUP, "PutRetentionPolicy: ResourceNotFoundException"),
        (ENDPOINT_CONFIG, "CreateEndpoint: ValidationException"),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_deploy_waits_for_each_kind_that_is_late(kind: Kind, met: str, pictures: Path) -> None:
    with bad_day(kind) as (desk, late, _):
        push(desk.session, pictures, "pets")
        train(desk.session, "pets")
        assert deploy(desk.session)
        assert deploy(desk.session) == ()
    assert met in late.refused


@pytest.mark.parametrize(
    ("kind", "met"),
    [
        (ROLE, "PutRolePolicy: NoSuchEntity"),
        (INSTANCE_PROFILE, "AddRoleToInstanceProfile: NoSuchEntity"),
        (PROFILE_ROLE, "RunInstances: InvalidParameterValue"),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_the_first_ec2_job_waits_for_each_kind_that_is_late(kind: Kind, met: str, pictures: Path) -> None:
    with bad_day(kind) as (desk, late, _):
        push(desk.session, pictures, "pets")
        Ec2Backend(session=desk.session).start(job_request(desk.session, "pets", on="ec2"))
        assert len(desk.ask("ec2", "DescribeInstances")["Reservations"]) == 1  # type: ignore[arg-type]
        assert desk.sent["RunInstances"] == 1  # one request for people, however often it was tried
    assert met in late.refused


def test_the_deployers_role_waits_for_its_new_policies() -> None:
    with bad_day(POLICY) as (desk, late, _):
        iam = Iam(deployer_principal="arn:aws:iam::123456789012:role/ci")
        desk.session.settings = desk.session.settings.model_copy(update={"iam": iam})
        assert desk.session.settle(foundation(desk.session.settings)).changes
        assert desk.session.settle(foundation(desk.session.settings)).changes == ()
    assert "AttachRolePolicy: NoSuchEntity" in late.refused


def test_a_rollback_wakes_a_version_that_was_idle_for_weeks(pictures: Path) -> None:
    time = FakeTime()
    with bad_day(time=time) as (desk, _, __):
        push(desk.session, pictures, "pets")
        train(desk.session, "pets")
        deploy(desk.session)
        desk.images["lambda"] = "kennel/lambda:2"
        deploy(desk.session)
        name = desk.session.settings.function_name
        time.time += 15 * 86400
        old = desk.ask("lambda", "GetFunctionConfiguration", FunctionName=name, Qualifier="1")
        assert (old["State"], old["StateReasonCode"]) == ("Inactive", "Idle")
        assert rollback_function(desk.session) == "1"
        now = desk.ask("lambda", "GetFunctionConfiguration", FunctionName=name, Qualifier="1")
        assert now["State"] == "Active"
