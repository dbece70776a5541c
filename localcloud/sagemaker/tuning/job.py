"""One tuning job as it really runs: training jobs a few at a time, until there were enough."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from localcloud.errors import ApiError
from localcloud.sagemaker.records import Params
from localcloud.sagemaker.training.job import TrainingRun
from localcloud.sagemaker.training.status import ENDED
from localcloud.sagemaker.tuning import request as plan
from localcloud.sagemaker.tuning.search import Search
from localcloud.sagemaker.tuning.space import falls_behind

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
LOOK_SECONDS = 0.25


class Trainer(Protocol):
    """Begins training jobs; `check` raises ApiError for one that cannot be begun."""

    def check(self, params: Mapping[str, Any]) -> None: ...
    def begin(self, params: dict[str, Any], *, tuning: str | None = None) -> TrainingRun: ...


@dataclass(kw_only=True, eq=False)
class Trial:
    """One training job of a tuning job. `number` is the search's own."""

    number: int
    chosen: Mapping[str, str]
    run: TrainingRun
    told: bool = False

    @property
    def ended(self) -> bool:
        return self.run.record.ended is not None

    def values(self, metric: str) -> list[float]:
        return list(self.run.scanner.history.get(metric, ()))

    def objective(self, metric: str) -> float | None:
        """The last value of a job that ended well (or was stopped early); None of another."""
        values = self.values(metric)
        return values[-1] if values and self.run.record.status in ("Completed", "Stopped") else None


@dataclass(kw_only=True, eq=False)
class TuningRun:
    """A job and what it is at. `work` is called once, in a thread of its own; `stop` from any thread."""

    params: Mapping[str, Any]
    arn: str
    limits: plan.Limits
    search: Search
    trainer: Trainer
    now: Callable[[], datetime]
    closing: threading.Event
    created: datetime
    modified: datetime
    ended: datetime | None = None
    status: Status = "InProgress"
    reason: str | None = None
    trials: list[Trial] = field(default_factory=list)
    exhausted: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def name(self) -> str:
        return str(self.params["HyperParameterTuningJobName"])

    @property
    def config(self) -> Params:
        return dict(self.params["HyperParameterTuningJobConfig"])

    @property
    def metric(self) -> str:
        return str(self.config["HyperParameterTuningJobObjective"]["MetricName"])

    @property
    def maximise(self) -> bool:
        return bool(self.config["HyperParameterTuningJobObjective"]["Type"] == "Maximize")

    def stop(self) -> None:
        """StopHyperParameterTuningJob: the jobs that run are stopped too."""
        with self.lock:
            if self.status in ENDED:
                raise ApiError(
                    "ValidationException",
                    f"The request was rejected because the hyperparameter tuning job is in status {self.status}.",
                )
            self.status, self.modified = "Stopping", self.now()

    def work(self) -> None:
        """Until all training jobs have ended and no more are wanted."""
        try:
            while not self.step():
                if self.closing.wait(LOOK_SECONDS):
                    return
        except Exception as error:
            logging.getLogger(__name__).exception("tuning job %s failed", self.name)
            self._finish("Failed", f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}")

    def step(self) -> bool:
        """One look: hear what ended, stop what falls behind, launch what is missing. True once all is over."""
        with self.lock:
            self._hear()
            running = [trial for trial in self.trials if not trial.ended]
            if not self._enough():
                if self.config.get("TrainingJobEarlyStoppingType") == "Auto":
                    self._stop_early(running)
                self._launch(self.limits.parallel - len(running))
                return False
            for trial in running:
                _halt(trial)
            if not running:
                self._conclude()
            return not running

    def _hear(self) -> None:
        for trial in self.trials:
            if trial.ended and not trial.told:
                trial.told = True
                self.modified = self.now()
                self.search.tell(trial.number, trial.objective(self.metric))

    def _enough(self) -> bool:
        """Whether nothing more is to be launched: stopped, broken, out of time or ideas, or good enough."""
        running = any(not trial.ended for trial in self.trials)
        if self.status == "Stopping" or self.reason or self._overdue() or self._good_enough():
            return True
        return (len(self.trials) >= self.limits.jobs or self.exhausted) and not running

    def _overdue(self) -> bool:
        seconds = self.limits.seconds
        return seconds is not None and (self.now() - self.created).total_seconds() > seconds

    def _good_enough(self) -> bool:
        """The completion criteria, and the five failures that AWS gives a tuning job that never succeeds."""
        values = self.objectives()
        ended = [trial for trial in self.trials if trial.ended]
        if not values and len(ended) >= min(plan.ATTEMPTS, self.limits.jobs):
            self.reason = plan.ALL_FAILED.format(count=len(ended))
            return True
        if not values:
            return False
        best = max(values) if self.maximise else min(values)
        target, patience = self.limits.target, self.limits.patience
        if target is not None and (best >= target if self.maximise else best <= target):
            return True
        return patience is not None and len(values) - 1 - values.index(best) >= patience

    def objectives(self) -> list[float]:
        found = (trial.objective(self.metric) for trial in self.trials if trial.ended)
        return [value for value in found if value is not None]

    def _launch(self, count: int) -> None:
        for _ in range(min(count, self.limits.jobs - len(self.trials))):
            asked = self.search.ask()
            if asked is None:
                self.exhausted = True
                return
            number, chosen = asked
            request = plan.training_request(self.params, len(self.trials) + 1, chosen)
            try:
                run = self.trainer.begin(request, tuning=self.arn)
            except ApiError as error:
                self.search.tell(number, None)
                self.reason = f"{error.code}: {error.message}"
                return
            self.trials.append(Trial(number=number, chosen=chosen, run=run))
            self.modified = self.now()

    def _stop_early(self, running: list[Trial]) -> None:
        done = [trial.values(self.metric) for trial in self.trials if trial.run.record.status == "Completed"]
        for trial in running:
            if falls_behind(trial.values(self.metric), done, maximise=self.maximise):
                _halt(trial)

    def _conclude(self) -> None:
        if self.status == "Stopping":
            self._finish("Stopped", None)
        elif self.reason:
            self._finish("Failed", self.reason)
        else:
            self._finish("Completed", None)

    def _finish(self, status: Status, reason: str | None) -> None:
        self.status, self.reason = status, reason[:1024] if reason else None
        self.ended = self.modified = self.now()

    # ------------------------------------------------------------------------------------------ as it stands

    def best(self) -> Trial | None:
        """The trial with the best objective; None before any has one."""
        scored = [(value, trial) for trial in self.trials if (value := trial.objective(self.metric)) is not None]
        if not scored:
            return None
        return (max if self.maximise else min)(scored, key=lambda pair: pair[0])[1]

    def counters(self) -> Params:
        """TrainingJobStatusCounters."""
        names = {"Completed": "Completed", "Failed": "NonRetryableError", "Stopped": "Stopped"}
        found = Counter(names.get(trial.run.record.status, "InProgress") for trial in self.trials)
        return {
            name: found[name] for name in ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
        }

    def objective_counters(self) -> Params:
        """ObjectiveStatusCounters."""
        found = Counter(objective_status(trial, self.metric) for trial in self.trials)
        return {name: found[name] for name in ("Succeeded", "Pending", "Failed")}


def objective_status(trial: Trial, metric: str) -> str:
    """ObjectiveStatus of one training job."""
    if not trial.ended:
        return "Pending"
    return "Failed" if trial.objective(metric) is None else "Succeeded"


def _halt(trial: Trial) -> None:
    """Stop a trial's job, unless that is under way or it has ended meanwhile."""
    if trial.run.record.status == "InProgress":
        try:
            trial.run.stop()
        except ApiError:
            return
