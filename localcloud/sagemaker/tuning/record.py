"""A tuning job's progress as values: its trials, their objectives, and how the job stands. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from localcloud.sagemaker.training.status import ENDED, Record
from localcloud.sagemaker.tuning.request import Objective

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]

_COUNTED = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_COUNTED_AS = {"Completed": "Completed", "Failed": "NonRetryableError", "Stopped": "Stopped"}


class Job(Protocol):
    """A training job, as far as tuning needs it."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def record(self) -> Record: ...
    def history(self, metric: str) -> list[float]: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training job of a tuning job. `number` is the search's own, `chosen` the hyperparameters it chose."""

    number: int
    chosen: Mapping[str, str]
    job: Job

    @property
    def ended(self) -> bool:
        return self.job.record.ended is not None

    def objective(self, metric: str) -> float | None:
        """The metric's last value when the job completed or was stopped (early, for instance), else None."""
        status, values = self.job.record.status, self.job.history(metric)
        return values[-1] if values and status in ("Completed", "Stopped") else None

    def objective_status(self, metric: str) -> str:
        """ObjectiveStatus."""
        if not self.ended:
            return "Pending"
        return "Failed" if self.objective(metric) is None else "Succeeded"


@dataclass(frozen=True, kw_only=True)
class TuningRecord:
    """A tuning job at one moment."""

    created: datetime
    modified: datetime
    ended: datetime | None = None
    status: Status = "InProgress"
    reason: str | None = None
    trials: tuple[Trial, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def running(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if not trial.ended)

    def objectives(self, metric: str) -> list[float]:
        """The objectives of the trials that ended, in the order in which they were launched."""
        values = (trial.objective(metric) for trial in self.trials if trial.ended)
        return [value for value in values if value is not None]

    def best(self, objective: Objective) -> Trial | None:
        """The trial with the best objective; None before any has one."""
        scored = [(value, trial) for trial in self.trials if (value := trial.objective(objective.metric)) is not None]
        if not scored:
            return None
        return (max if objective.maximise else min)(scored, key=lambda pair: pair[0])[1]

    def seconds(self) -> int:
        """How many seconds the trials that ended have trained."""
        records = [trial.job.record for trial in self.trials]
        spans = [(each.ended - each.started).total_seconds() for each in records if each.started and each.ended]
        return math.ceil(sum(spans))

    def counters(self) -> dict[str, int]:
        """TrainingJobStatusCounters."""
        counts = Counter(_COUNTED_AS.get(trial.job.record.status, "InProgress") for trial in self.trials)
        return {name: counts[name] for name in _COUNTED}

    def objective_counters(self, metric: str) -> dict[str, int]:
        """ObjectiveStatusCounters."""
        counts = Counter(trial.objective_status(metric) for trial in self.trials)
        return {name: counts[name] for name in ("Succeeded", "Pending", "Failed")}
