"""The interface that SageMaker, EC2 and this machine implement to run jobs, and how a job is followed to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from contract import metrics
from deploy.aws.client import Clock
from deploy.aws.logs import Line
from deploy.errors import JobError
from deploy.jobs.failures import explained
from deploy.jobs.lifecycle import poll
from deploy.jobs.request import JobRequest, JobResult
from deploy.jobs.training_job import TrainingJob

INTERRUPTED = "Interrupted"

OnLine = Callable[[Line], None]
OnStatus = Callable[[str, str], None]


class InterruptedJobError(JobError):
    """The job's machine was taken away. On another machine the job resumes from its checkpoint."""


class Reader(Protocol):
    """Yields the lines that a job has written since the last call."""

    def read(self) -> Iterator[Line]: ...


class Backend(Protocol):
    """Runs jobs and reports their state."""

    def find_attempt(self, job: JobRequest) -> tuple[JobRequest, TrainingJob | None]:
        """The job under the name to run it by, and its state when it runs already or has completed; else None."""
        ...

    def start(self, job: JobRequest) -> None:
        """Starts the job. Raises DeployError."""
        ...

    def describe(self, name: str) -> TrainingJob | None:
        """The job's state; None when it does not exist."""
        ...

    def reader(self, name: str) -> Reader: ...

    def stop(self, name: str) -> None: ...


def unless_restarted(job: TrainingJob | None) -> TrainingJob | None:
    """The state of a job that need not be started; None for a failed or stopped one, which starts again under its name.

    For EC2 and this machine, whose job names can be used again.
    """
    return None if job is None or job.status in ("Failed", "Stopped") else job


def follow(
    name: str,
    backend: Backend,
    *,
    clock: Clock,
    every: float = 2.0,
    on_line: OnLine = lambda _: None,
    on_status: OnStatus = lambda *_: None,
    reader: Reader | None = None,
) -> JobResult:
    """Follows a job to its end. `on_line` gets each line of its log, `on_status` each new secondary status with its
    message.

    A `reader` from an earlier call continues where it stopped. `every` is the polling interval in seconds.

    Raises InterruptedJobError when the job's machine was taken away, JobError with the reason when the job failed or
    was stopped.
    """
    reader = reader or backend.reader(name)
    last, numbers = "", dict[str, float]()
    for job in poll("training job", name, backend.describe, clock=clock, every=every):
        secondary = job.secondary_status or job.status
        if secondary != last:
            on_status(secondary, job.status_message)
            last = secondary
        for line in reader.read():
            on_line(line)
            for values in metrics.parse(line.text):
                numbers.update(values)
    return result_of(job, numbers)


def result_of(job: TrainingJob, numbers: Mapping[str, float] | None = None) -> JobResult:
    """The result of a job that has ended; `numbers` are the metrics read from its log.

    Raises InterruptedJobError, and JobError for a job that failed or was stopped.
    """
    if job.secondary_status == INTERRUPTED:
        raise InterruptedJobError(f"training job {job.name}: {job.failure_reason or 'its machine was taken away'}")
    if job.status != "Completed":
        reason = explained(job.failure_reason or _stop_reason(job))
        raise JobError(f"training job {job.name}: {job.status}: {reason}\n./inv logs {job.name} shows its whole log")
    return JobResult(
        name=job.name,
        status=job.status,
        artifact=job.artifact,
        reports=job.artifact.removesuffix("model.tar.gz") + "output.tar.gz",
        seconds=job.seconds,
        metrics={**job.metrics, **(numbers or {})},
    )


def _stop_reason(job: TrainingJob) -> str:
    """A stopped job may say why in its secondary status: MaxRuntimeExceeded, MaxWaitTimeExceeded."""
    secondary = job.secondary_status or job.status
    return secondary if secondary != "Stopped" else "it was stopped; ./inv train resumes it from its checkpoint"
