"""Tuning jobs step by step, over training jobs that end when the test says so."""

import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.tuning.api import Tunings
from localcloud.sagemaker.tuning.job import TuningJob
from tests.unit.localcloud.fakes import cloud
from tests.unit.localcloud.sagemaker.tuning.fakes import FakeJob, FakeTrainer, tuning_request

NAME = {"HyperParameterTuningJobName": "tune-1"}


class Bench:
    """One localcloud's tuning jobs; nothing moves but by `step`."""

    def __init__(self, *, limit: int = 100) -> None:
        self.trainer = FakeTrainer(limit=limit)
        self.tunings = Tunings(
            cloud=cloud(Path("/nowhere")), trainer=self.trainer, spawn=lambda _: None, closing=threading.Event()
        )

    def create(self, **changes: Any) -> TuningJob:
        request = tuning_request(**changes)
        self.tunings.create(request)
        return self.tunings.jobs[request["HyperParameterTuningJobName"]]

    @property
    def jobs(self) -> list[FakeJob]:
        return self.trainer.jobs

    def describe(self) -> dict[str, Any]:
        return self.tunings.describe(NAME)


def test_so_many_jobs_run_at_once_and_in_all_and_the_best_is_known() -> None:
    bench = Bench()
    run = bench.create()
    assert run.step() is False
    assert len(bench.jobs) == 2
    assert bench.jobs[0].tuning == run.arn
    bench.jobs[0].end("Completed", 0.2, 0.4)
    run.step()
    assert len(bench.jobs) == 3
    bench.jobs[1].end("Completed", 0.9)
    bench.jobs[2].end("Failed")
    assert run.step() is True
    found = bench.describe()
    assert found["HyperParameterTuningJobStatus"] == "Completed"
    best = found["BestTrainingJob"]
    assert best["TrainingJobName"] == bench.jobs[1].name
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.9
    assert set(best["TunedHyperParameters"]) == {"rate"}
    counters = found["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["NonRetryableError"], counters["InProgress"]) == (2, 1, 0)
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}


def test_the_least_value_is_best_when_minimising() -> None:
    bench = Bench()
    run = bench.create(config={"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"}})
    run.step()
    bench.jobs[0].end("Completed", 0.9)
    bench.jobs[1].end("Completed", 0.1)
    run.step()
    assert bench.describe()["BestTrainingJob"]["TrainingJobName"] == bench.jobs[1].name


def test_a_job_without_the_metric_has_no_objective() -> None:
    bench = Bench()
    run = bench.create()
    run.step()
    bench.jobs[0].end("Completed")
    run.step()
    assert bench.describe()["ObjectiveStatusCounters"]["Failed"] == 1
    assert bench.describe()["BestTrainingJob"] is None


def test_stop_stops_what_runs_and_launches_nothing_more() -> None:
    bench = Bench()
    run = bench.create()
    run.step()
    bench.tunings.stop(NAME)
    assert bench.describe()["HyperParameterTuningJobStatus"] == "Stopping"
    run.step()
    assert [job.stops for job in bench.jobs] == [1, 1]
    assert run.step() is True
    assert bench.describe()["HyperParameterTuningJobStatus"] == "Stopped"
    with pytest.raises(ApiError, match="in status Stopped"):
        bench.tunings.stop(NAME)


def test_with_early_stopping_a_job_that_falls_behind_is_stopped() -> None:
    bench = Bench()
    run = bench.create(config={"TrainingJobEarlyStoppingType": "Auto"})
    run.step()
    bench.jobs[0].end("Completed", 0.5, 0.6)
    bench.jobs[1].log(0.1)
    run.step()
    assert bench.jobs[1].stops == 1
    run.step()
    assert bench.describe()["TrainingJobStatusCounters"]["Stopped"] == 1
    assert [job.stops for job in bench.jobs[2:]] == [0]


def test_a_tuning_job_whose_jobs_all_fail_fails_after_five() -> None:
    bench = Bench()
    run = bench.create(config={"ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 5}})
    run.step()
    for job in bench.jobs:
        job.end("Failed")
    assert run.step() is True
    assert len(bench.jobs) == 5
    assert "No training job succeeded after 5 attempts" in bench.describe()["FailureReason"]


def test_a_job_that_cannot_be_begun_fails_the_tuning_once_the_others_have_ended() -> None:
    bench = Bench(limit=1)
    run = bench.create()
    assert [run.step() for _ in range(3)] == [False, False, True]
    assert bench.jobs[0].stops == 1
    assert "ResourceLimitExceeded: no more instances" in bench.describe()["FailureReason"]


@pytest.mark.parametrize(
    "criteria",
    [{"TargetObjectiveMetricValue": 0.8}, {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}],
)
def test_good_enough_is_enough(criteria: dict[str, Any]) -> None:
    bench = Bench()
    limits = {"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 1}
    run = bench.create(config={"TuningJobCompletionCriteria": criteria, "ResourceLimits": limits})
    for value in (0.8, 0.7, 0.6, 0.5, 0.4):
        if run.step():
            break
        if not bench.jobs[-1].record.ended:
            bench.jobs[-1].end("Completed", value)
    assert run.record.status == "Completed"
    assert len(bench.jobs) == (1 if "TargetObjectiveMetricValue" in criteria else 4)


def test_a_later_tuning_learns_from_an_earlier_one_that_has_ended() -> None:
    bench = Bench()
    run = bench.create()
    child = {
        "HyperParameterTuningJobName": "tune-2",
        "WarmStartConfig": {"WarmStartType": "TransferLearning", "ParentHyperParameterTuningJobs": [NAME]},
        "config": {"Strategy": "Bayesian"},
    }
    with pytest.raises(ApiError, match="has not ended yet"):
        bench.create(**dict(child))
    run.step()
    bench.tunings.stop(NAME)
    while not run.step():
        pass
    bench.jobs[0].log(0.5)
    study: Any = bench.create(**child)._search
    assert [trial.value for trial in study.study.trials] == [0.5]
    with pytest.raises(ApiError, match="can't find a tuning job"):
        bench.create(**{**child, "WarmStartConfig": {"ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "none"}]}})  # fmt: skip


def test_a_name_can_be_used_once_and_jobs_are_listed_and_deleted_when_ended() -> None:
    bench = Bench()
    run = bench.create()
    with pytest.raises(ApiError, match="must be unique"):
        bench.create()
    listed = bench.tunings.list({"StatusEquals": "InProgress"})["HyperParameterTuningJobSummaries"]
    assert [each["HyperParameterTuningJobName"] for each in listed] == ["tune-1"]
    with pytest.raises(ApiError, match="stop it first"):
        bench.tunings.delete(NAME)
    run.stop()
    run.step()
    bench.tunings.delete(NAME)
    with pytest.raises(ApiError, match="can't find"):
        bench.describe()


def test_training_jobs_are_listed_by_objective() -> None:
    bench = Bench()
    run = bench.create(config={"ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}})
    run.step()
    for job, value in zip(bench.jobs[:2], (0.1, 0.9), strict=True):
        job.end("Completed", value)
    query = NAME | {"SortBy": "FinalObjectiveMetricValue", "MaxResults": 2}
    first = bench.tunings.list_trials(query)
    second = bench.tunings.list_trials(query | {"NextToken": first["NextToken"]})
    rows = first["TrainingJobSummaries"] + second["TrainingJobSummaries"]
    assert [row["TrainingJobName"] for row in rows] == [bench.jobs[index].name for index in (1, 0, 2)]
    completed = bench.tunings.list_trials(NAME | {"StatusEquals": "Completed"})["TrainingJobSummaries"]
    assert len(completed) == 2
