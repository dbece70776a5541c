"""Training jobs as values: DescribeTrainingJob's answer parsed once, the record read back, attempts and polling."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.errors import JobError
from deploy.jobs import records, training_job
from deploy.jobs.lifecycle import JobStatus, find_attempt, poll
from deploy.jobs.training_job import TrainingJob
from tests.unit.deploy.fakes import FakeTime

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ENDED = datetime(2026, 11, 21, 12, 1, 30, tzinfo=UTC)
ANSWER = {
    "TrainingJobName": "j",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "SecondaryStatusTransitions": [{"StatusMessage": "starting"}, {"StatusMessage": "done"}],
    "CreationTime": BEGAN,
    "TrainingStartTime": BEGAN,
    "TrainingEndTime": ENDED,
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/jobs/j/output/model.tar.gz"},
    "FinalMetricDataList": [{"MetricName": "valid:top1", "Value": 0.5}],
    "AlgorithmSpecification": {"TrainingImage": "train@sha256:1"},
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
    "EnableManagedSpotTraining": True,
}


def test_an_answer_of_describe_training_job_is_parsed_once() -> None:
    job = training_job.parse(ANSWER)
    assert (job.name, job.status, job.status_message, job.has_ended) == ("j", "Completed", "done", True)
    assert (job.seconds, job.metrics, job.artifact) == (90.0, {"valid_top1": 0.5}, "s3://b/jobs/j/output/model.tar.gz")
    assert (job.instance_count, job.instance_type, job.is_spot) == (2, "ml.m5.xlarge", True)
    assert (job.image, job.role) == ("train@sha256:1", "arn:aws:iam::123456789012:role/training")


def test_a_record_keeps_all_that_a_job_elsewhere_knows() -> None:
    job = TrainingJob(
        name="j", status="Stopped", secondary_status="Interrupted", failure_reason="spot", created=BEGAN, started=BEGAN,
        ended=ENDED, artifact="s3://b/model.tar.gz", hyperparameters={"epochs": "3"}, instance_id="i-0", launch=2,
        max_runtime_s=60,
    )  # fmt: skip
    assert records.load(records.dump(job)) == job


def test_attempts_end_after_their_number_with_what_to_do() -> None:
    failed = JobStatus(status="Failed")
    with pytest.raises(JobError, match="tuning job t: 9 attempts have failed; fix the cause"):
        find_attempt("tuning job", "t", lambda _: failed, reusable=lambda _: False, attempts=9)
    taken = {"t", "t-2"}
    name, job = find_attempt(
        "tuning job", "t", lambda name: failed if name in taken else None, reusable=lambda _: False, attempts=9
    )
    assert (name, job) == ("t-3", None)


def test_polling_ends_with_the_job_and_waits_in_between() -> None:
    time, states = FakeTime(), iter([JobStatus(status="InProgress"), JobStatus(status="Completed")])
    statuses = [job.status for job in poll("job", "j", lambda _: next(states), clock=time.clock(), every=5.0)]
    assert (statuses, time.slept) == (["InProgress", "Completed"], [5.0])
    with pytest.raises(JobError, match="job j: does not exist"):
        list(poll("job", "j", lambda _: None, clock=time.clock(), every=5.0))
