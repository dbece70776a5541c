"""A job's state: which command wins, and what each leads to."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.training.request import parse
from localcloud.sagemaker.training.state import ClosingError, JobState
from localcloud.sagemaker.training.status import COMPLETED, INTERRUPTED, STOPPED
from tests.unit.localcloud.fakes import training_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9},
}


def training(**changes: Any) -> JobState:
    """A spot job that trains."""
    state = JobState(parse(training_request(**(SPOT | changes))), now=lambda: NOW)
    state.enter("Training")
    return state


@pytest.mark.parametrize(
    ("commands", "outcome"),
    [
        ([], None),
        ([JobState.interrupt], INTERRUPTED),
        ([JobState.interrupt, JobState.interrupt], INTERRUPTED),
        ([JobState.interrupt, JobState.stop], STOPPED),
        ([JobState.stop, JobState.stop], STOPPED),
    ],
)
def test_stop_wins_over_interrupt(commands: list[Callable[[JobState], None]], outcome: object) -> None:
    state = training()
    for command in commands:
        command(state)
    assert state.pending() == outcome


@pytest.mark.parametrize(
    "commands",
    [
        [JobState.close],
        [JobState.stop, JobState.close],
        [JobState.close, JobState.stop],
        [JobState.close, JobState.interrupt],
    ],
)
def test_close_wins_over_all(commands: list[Callable[[JobState], None]]) -> None:
    state = training()
    for command in commands:
        command(state)
    assert state.closing
    with pytest.raises(ClosingError):
        state.pending()


def test_a_stopping_job_cannot_be_interrupted() -> None:
    state = training()
    state.stop()
    with pytest.raises(ApiError, match="is Stopping, not Training"):
        state.interrupt()
    assert state.pending() == STOPPED


def test_an_interruption_is_over_once_it_is_recorded() -> None:
    state = training()
    state.interrupt()
    state.resume()
    assert state.record.secondary == "Interrupted"
    assert state.pending() is None
    with pytest.raises(ApiError, match="is Interrupted, not Training"):
        state.interrupt()


def test_a_stop_outlives_the_interruption_before_it() -> None:
    state = training()
    state.interrupt()
    state.stop()
    state.resume()
    assert state.pending() == STOPPED
    assert state.record.secondary == "Stopping"


def test_a_stopping_job_enters_no_other_status_before_its_end() -> None:
    state = training()
    state.stop()
    state.enter("Uploading")
    assert state.record.secondary == "Stopping"
    state.finish(COMPLETED)
    assert state.record.status == "Completed"
    with pytest.raises(ApiError, match="rejected because the training job is in status Completed"):
        state.stop()


def test_a_command_before_the_wait_ends_the_wait() -> None:
    state = training()
    state.stop()
    began = time.monotonic()
    state.wait(30)
    assert time.monotonic() - began < 10


def test_a_line_with_metrics_reaches_the_record_and_the_history() -> None:
    algorithm = training_request()["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    state = training(AlgorithmSpecification=algorithm)
    for line in ("loss=0.5", "nothing", "loss=0.25"):
        state.scan(line)
    assert state.record.metrics == (("loss", 0.25, NOW),)
    assert state.history("loss") == [0.5, 0.25]


def test_the_start_time_stays_that_of_the_first_attempt() -> None:
    times = iter(datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(9))
    state = JobState(parse(training_request()), now=lambda: next(times))
    state.begin()
    first = state.record.started
    state.begin()
    assert state.record.started == first == datetime(2026, 1, 1, 1, tzinfo=UTC)
