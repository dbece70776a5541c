"""A training job's progress as values: statuses, their transitions, and how an attempt can end. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

ENDED = ("Completed", "Failed", "Stopped")

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
    """What Describe knows of a job's progress."""

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
        """The record after moving to another secondary status (and maybe status)."""
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
    """How an attempt ended: status and secondary status to take, and why. `interrupted` means: run it again."""

    status: str
    secondary: str
    failure: str | None = None
    interrupted: bool = False


COMPLETED = Outcome(status="Completed", secondary="Completed")
STOPPED = Outcome(status="Stopped", secondary="Stopped")
INTERRUPTED = Outcome(status="InProgress", secondary="Interrupted", interrupted=True)


def failed(reason: str) -> Outcome:
    """A failed attempt; the reason is cut to the API's 1024 characters."""
    return Outcome(status="Failed", secondary="Failed", failure=reason[:1024])


def message(transition: Transition) -> str:
    """AWS's sentence for a secondary status."""
    return _MESSAGES.get(transition.status, transition.status)
