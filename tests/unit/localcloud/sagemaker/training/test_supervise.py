"""What decides an attempt's outcome, over containers that exit when the test says so."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from localcloud.sagemaker.training.request import parse
from localcloud.sagemaker.training.state import ClosingError, JobState
from localcloud.sagemaker.training.status import MAX_RUNTIME_EXCEEDED, Outcome
from localcloud.sagemaker.training.supervise import Deadline, supervise
from tests.unit.localcloud.fakes import training_request


@dataclass
class FakeContainers:
    """Two hosts and the exit codes so far. `on_signal`: signal → the exit codes that it leads to."""

    state: JobState
    codes: dict[str, int] = field(default_factory=dict)
    on_signal: dict[str, dict[str, int]] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return 2

    def exits(self) -> dict[str, int]:
        return dict(self.codes)

    def signal(self, name: str) -> None:
        self.signals.append(name)
        self.codes |= {host: code for host, code in self.on_signal.get(name, {}).items() if host not in self.codes}
        self.state.wake()


@dataclass
class FakeCheckpoints:
    """Counts uploads, and lets a host end after some of them."""

    containers: FakeContainers
    count: int = 0

    def sync(self) -> None:
        self.count += 1
        if self.count == 2:
            self.containers.codes |= {"algo-1": 0, "algo-2": 0}
            self.containers.state.wake()


def new_state() -> JobState:
    return JobState(parse(training_request()), now=lambda: datetime(2026, 1, 1, tzinfo=UTC))


def outcome_of(containers: FakeContainers, *, seconds: float = 60.0, grace: float = 60.0) -> Outcome:
    deadline = Deadline(at=time.monotonic() + seconds, outcome=MAX_RUNTIME_EXCEEDED)
    return supervise(containers, containers.state, deadline=deadline, grace=grace, checkpoints=None)


def test_hosts_that_all_exit_with_zero_complete_the_job() -> None:
    containers = FakeContainers(new_state(), codes={"algo-1": 0, "algo-2": 0})
    containers.state.wake()
    assert outcome_of(containers).status == "Completed"


def test_a_failure_seen_together_with_the_last_exit_is_not_lost() -> None:
    containers = FakeContainers(new_state(), codes={"algo-1": 0, "algo-2": 1})
    containers.state.wake()
    assert outcome_of(containers).status == "Failed"


def test_a_failed_host_ends_the_others() -> None:
    containers = FakeContainers(new_state(), codes={"algo-1": 1}, on_signal={"SIGTERM": {"algo-2": 143}})
    containers.state.wake()
    assert outcome_of(containers).status == "Failed"
    assert containers.signals == ["SIGTERM"]


def test_exit_codes_after_a_stop_do_not_fail_the_job() -> None:
    containers = FakeContainers(new_state(), on_signal={"SIGTERM": {"algo-1": 143, "algo-2": 1}})
    containers.state.stop()
    assert outcome_of(containers).status == "Stopped"


def test_what_outlives_the_grace_is_killed() -> None:
    containers = FakeContainers(
        new_state(), on_signal={"SIGTERM": {"algo-1": 0}, "SIGKILL": {"algo-1": 137, "algo-2": 137}}
    )
    assert outcome_of(containers, seconds=0.0, grace=0.05) == MAX_RUNTIME_EXCEEDED
    assert containers.signals == ["SIGTERM", "SIGKILL"]


def test_the_runtime_limit_counts_only_until_something_else_decided() -> None:
    containers = FakeContainers(new_state(), on_signal={"SIGKILL": {"algo-1": 137, "algo-2": 137}})
    containers.state.stop()
    assert outcome_of(containers, seconds=0.02, grace=0.05).secondary == "Stopped"


def test_closing_ends_the_wait_at_once() -> None:
    containers = FakeContainers(new_state())
    containers.state.close()
    with pytest.raises(ClosingError):
        outcome_of(containers)
    assert containers.signals == []


def test_checkpoints_are_uploaded_while_the_hosts_run() -> None:
    containers = FakeContainers(new_state())
    checkpoints = FakeCheckpoints(containers)
    deadline = Deadline(at=time.monotonic() + 60, outcome=MAX_RUNTIME_EXCEEDED)
    outcome = supervise(
        containers, containers.state, deadline=deadline, grace=60, checkpoints=checkpoints, sync_seconds=0.01
    )
    assert outcome.status == "Completed"
    assert checkpoints.count == 2
