"""A training job's progress as values: statuses, their transitions, and how an attempt can end. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

ENDED = ("Completed", "Failed", "Stopped")
FAILURE_LIMIT = 1024  # rule 13

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Interrupted": "The spot instance was interrupted; training will be resumed from the last checkpoint",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
}


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One entry of SecondaryStatusTransitions."""

    status: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A job's progress as Describe shows it. `metrics` holds the last (name, value, time) of each metric."""

    created: datetime
    modified: datetime
    status: str = "InProgress"
    secondary: str = "Starting"
    transitions: tuple[Transition, ...] = ()
    failure: str | None = None
    artifacts: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    metrics: tuple[tuple[str, float, datetime], ...] = ()

    def entered(self, secondary: str, now: datetime, *, status: str | None = None) -> "Record":
        """The record after moving to another secondary status, and to another status if one is given."""
        past = self.transitions
        if past and past[-1].end is None:
            past = (*past[:-1], replace(past[-1], end=now))
        ends = now if status in ENDED else None
        return replace(
            self,
            status=status or self.status,
            secondary=secondary,
            modified=now,
            transitions=(*past, Transition(status=secondary, start=now, end=ends)),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended: the job's new status and secondary status, and why. `interrupted` means: run it again.

    `trained` is for how many seconds its containers ran.
    """

    status: str
    secondary: str
    failure: str | None = None
    interrupted: bool = False
    trained: float = 0.0


COMPLETED = Outcome(status="Completed", secondary="Completed")
STOPPED = Outcome(status="Stopped", secondary="Stopped")
INTERRUPTED = Outcome(status="InProgress", secondary="Interrupted", interrupted=True)
MAX_RUNTIME_EXCEEDED = Outcome(status="Stopped", secondary="MaxRuntimeExceeded")
MAX_WAIT_TIME_EXCEEDED = Outcome(status="Stopped", secondary="MaxWaitTimeExceeded")


def failed(reason: str) -> Outcome:
    """A failed attempt; the reason is cut to the API's 1024 characters."""
    return Outcome(status="Failed", secondary="Failed", failure=reason[:FAILURE_LIMIT])


def failure_reason(text: str, exit_code: int, *, out_of_memory: bool = False) -> str:
    """FailureReason as SageMaker words it (rules 12, 13), within 1024 characters."""
    if out_of_memory and not text:
        text = (
            "Please use an instance type with more memory, "
            "or reduce the size of training data processed on an instance."
        )
    start, ending = "AlgorithmError: ", f", exit code: {exit_code}"
    return start + text[: FAILURE_LIMIT - len(start) - len(ending)] + ending


def message(transition: Transition) -> str:
    """AWS's sentence for a secondary status."""
    return _MESSAGES.get(transition.status, transition.status)
