"""What every place where a job runs offers, and following a job to its end: the same for SageMaker, EC2 and here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from contract import metrics
from deploy.aws.client import Clock
from deploy.aws.logs import Line
from deploy.errors import JobError
from deploy.jobs.failures import plain
from deploy.jobs.request import JobRequest, JobResult

ENDED = ("Completed", "Failed", "Stopped")
INTERRUPTED = "Interrupted"

Description = Mapping[str, Any]
Seen = Callable[[Line], None]
Status = Callable[[str, str], None]


class InterruptedJobError(JobError):
    """The machine was taken away; the job goes on from its checkpoint on another."""


class Reader(Protocol):
    """Gives what a job has written since the last time."""

    def read(self) -> Iterator[Line]: ...


class Backend(Protocol):
    """A place where jobs run. A description is what SageMaker's DescribeTrainingJob answers, wherever the job runs."""

    def take_up(self, job: JobRequest) -> tuple[JobRequest, Description | None]:
        """The job as it is to be run, with its description when it runs already or is done."""
        ...

    def start(self, job: JobRequest) -> None:
        """Begins it. Raises DeployError."""
        ...

    def describe(self, name: str) -> Description | None: ...

    def reader(self, name: str) -> Reader: ...

    def stop(self, name: str) -> None: ...


def follow(
    name: str,
    backend: Backend,
    *,
    clock: Clock,
    every: float = 2.0,
    line: Seen = lambda _: None,
    status: Status = lambda *_: None,
    reader: Reader | None = None,
) -> JobResult:
    """Watches a job to its end: `line` hears what it writes, `status` each new secondary status with its message.

    A `reader` that has read already goes on from there.

    Raises InterruptedJobError when its machine was taken away, JobError when it failed or was stopped, with the
    reason in plain words.
    """
    last, numbers = "", dict[str, float]()
    reader = reader or backend.reader(name)
    while True:
        found = backend.describe(name)
        if found is None:
            raise JobError(f"training job {name}: is not there")
        secondary = str(found.get("SecondaryStatus", found["TrainingJobStatus"]))
        if secondary != last:
            moves = found.get("SecondaryStatusTransitions") or [{}]
            status(secondary, str(moves[-1].get("StatusMessage", "")))
            last = secondary
        has_ended = found["TrainingJobStatus"] in ENDED
        for each in reader.read():
            line(each)
            for values in metrics.parse(each.text):
                numbers.update(values)
        if has_ended:
            return result_of(found, numbers)
        clock.sleep(every)


def result_of(found: Description, numbers: Mapping[str, float] | None = None) -> JobResult:
    """The result that a description of an ended job tells; `numbers` are those that its lines told. Raises JobError."""
    name, status = str(found["TrainingJobName"]), str(found["TrainingJobStatus"])
    if found.get("SecondaryStatus") == INTERRUPTED:
        raise InterruptedJobError(f"training job {name}: {found.get('FailureReason') or 'its machine was taken away'}")
    if status != "Completed":
        reason = plain(found.get("FailureReason") or _secondary(found, status))
        raise JobError(f"training job {name}: {status}: {reason}\n./inv logs {name} shows all it wrote")
    artifact = str(found["ModelArtifacts"]["S3ModelArtifacts"])
    final = {each["MetricName"].replace(":", "_"): each["Value"] for each in found.get("FinalMetricDataList", ())}
    return JobResult(
        name=name,
        status=status,
        artifact=artifact,
        reports=artifact.removesuffix("model.tar.gz") + "output.tar.gz",
        seconds=_seconds(found),
        metrics={**final, **(numbers or {})},
    )


def _secondary(found: Description, status: str) -> str:
    """Of a stopped job the secondary status may tell more: MaxRuntimeExceeded, MaxWaitTimeExceeded."""
    told = str(found.get("SecondaryStatus") or status)
    return told if told != "Stopped" else "it was stopped; ./inv train goes on from its checkpoint"


def _seconds(found: Description) -> float:
    began, ended = found.get("TrainingStartTime"), found.get("TrainingEndTime")
    return (ended - began).total_seconds() if began and ended else 0.0
