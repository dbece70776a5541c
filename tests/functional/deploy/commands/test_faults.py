"""A stage is made, used and deleted while AWS sees new resources 15 seconds late and throttles one request in twenty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.commands import notebook
from deploy.commands.data import push
from deploy.commands.deploy import deploy
from deploy.commands.down import down
from deploy.commands.status import status
from deploy.commands.train import train
from deploy.config.settings import choose, parse
from localcloud.errors import ApiError
from localcloud.faults.lag import Lag
from localcloud.faults.late import KINDS
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


class Bad:
    """A local AWS with lag and throttling. Its clock is the one on which the commands wait, so nothing waits for real."""

    def __init__(self, time: FakeTime) -> None:
        lag = Lag(
            kinds=KINDS, seconds=15, now=lambda: START + timedelta(seconds=time.time), account="123456789012",
            region="us-east-1",
        )  # fmt: skip
        self.throttle, self.lag = Counted(Throttle(share=0.05, seed=7)), Counted(lag)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "pets"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def bad(time: FakeTime) -> Bad:
    return Bad(time)


@pytest.fixture
def desk(bad: Bad, time: FakeTime) -> Iterator[Desk]:
    with local_aws(bad.throttle, bad.lag) as url:
        chosen = choose(parse(TOML.read_text()), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": url})
        made = Desk(chosen.model_copy(update={"stage": stage}))
        made.client.clock = made.session.clock = time.clock()
        yield made


def test_a_stage_is_made_changed_and_deleted_through_lag_and_throttling(desk: Desk, pictures: Path, bad: Bad) -> None:
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
    assert status(session)[0] == []
    assert bad.throttle.refused.total() > 5
    print(bad.lag.refused, bad.throttle.refused)
