"""One tuning job as it really runs: training jobs a few at a time, until a limit or the objective ends it."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from localcloud.errors import ApiError
from localcloud.sagemaker.records import invalid
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.tuning.record import Job, Status, Trial, TuningRecord
from localcloud.sagemaker.tuning.request import ALL_FAILED, ATTEMPTS, TuningRequest
from localcloud.sagemaker.tuning.search import Search
from localcloud.sagemaker.tuning.space import falls_behind

LOOK_SECONDS = 0.25


class Trainer(Protocol):
    """Begins training jobs. Both methods raise ApiError for a job that cannot begin."""

    def check(self, request: TrainingRequest) -> None: ...
    def begin(self, request: TrainingRequest, *, tuning: str | None = None) -> Job: ...


class TuningJob:
    """A tuning job. `work` is called once, in a thread of its own; `record` and `stop` from any thread."""

    def __init__(
        self, request: TuningRequest, arn: str, *, search: Search, trainer: Trainer,
        now: Callable[[], datetime], closing: threading.Event,
    ) -> None:  # fmt: skip
        self.request, self.arn = request, arn
        self._search, self._trainer, self._now, self._closing = search, trainer, now, closing
        created = now()
        self._lock = threading.RLock()  # a whole step holds it, so that nothing is launched after a stop
        self._record = TuningRecord(created=created, modified=created)
        self._reported: set[int] = set()  # trials whose end the search knows
        self._exhausted = False  # the search has nothing more to try
        self._failure: str | None = None  # why the job fails once its training jobs have ended

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def record(self) -> TuningRecord:
        """The job's progress so far."""
        with self._lock:
            return self._record

    def stop(self) -> None:
        """StopHyperParameterTuningJob: the next step stops the training jobs too. Raises ApiError after the end."""
        with self._lock:
            if self._record.has_ended:
                raise invalid(
                    f"The request was rejected because the hyperparameter tuning job is in status "
                    f"{self._record.status}."
                )
            self._change(status="Stopping")

    def work(self) -> None:
        """Step until the job has ended or localcloud shuts down."""
        try:
            while not self.step():
                if self._closing.wait(LOOK_SECONDS):
                    return
        except Exception as error:
            logging.getLogger(__name__).exception("tuning job %s failed", self.name)
            self._finish("Failed", f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}")

    def step(self) -> bool:
        """Report ended trials to the search, stop those that fall behind, launch what is missing. True at the end."""
        with self._lock:
            self._report()
            running = self._record.running
            if not self._is_enough():
                if self.request.stops_early:
                    self._stop_early(running)
                self._launch(self.request.limits.parallel - len(running))
                return False
            for trial in running:
                _halt(trial)
            if not running:
                self._conclude()
            return not running

    def _report(self) -> None:
        for trial in self._record.trials:
            if trial.ended and trial.number not in self._reported:
                self._reported.add(trial.number)
                self._change()
                self._search.tell(trial.number, trial.objective(self.request.objective.metric))

    def _is_enough(self) -> bool:
        """Tell whether to launch no more: stopped, failed, out of time, out of ideas, or good enough."""
        if self._record.status == "Stopping" or self._failure or self._is_overdue() or self._is_good_enough():
            return True
        launched_all = len(self._record.trials) >= self.request.limits.jobs or self._exhausted
        return launched_all and not self._record.running

    def _is_overdue(self) -> bool:
        seconds = self.request.limits.seconds
        return seconds is not None and (self._now() - self._record.created).total_seconds() > seconds

    def _is_good_enough(self) -> bool:
        """Apply the completion criteria, and fail a job whose first trials all failed, as AWS does."""
        objective, limits = self.request.objective, self.request.limits
        values = self._record.objectives(objective.metric)
        ended = len(self._record.trials) - len(self._record.running)
        if not values and ended >= min(ATTEMPTS, limits.jobs):
            self._failure = ALL_FAILED.format(count=ended)
            return True
        if not values:
            return False
        best = max(values) if objective.maximise else min(values)
        target, patience = limits.target, limits.patience
        if target is not None and (best >= target if objective.maximise else best <= target):
            return True
        return patience is not None and len(values) - 1 - values.index(best) >= patience

    def _launch(self, count: int) -> None:
        for _ in range(min(count, self.request.limits.jobs - len(self._record.trials))):
            trial = self._search.ask()
            if trial is None:
                self._exhausted = True
                return
            number, chosen = trial
            try:
                request = self.request.training_request(len(self._record.trials) + 1, chosen)
                job = self._trainer.begin(request, tuning=self.arn)
            except ApiError as error:
                self._search.tell(number, None)
                self._failure = f"{error.code}: {error.message}"
                return
            self._change(trials=(*self._record.trials, Trial(number=number, chosen=chosen, job=job)))

    def _stop_early(self, running: Sequence[Trial]) -> None:
        objective = self.request.objective
        completed = [trial for trial in self._record.trials if trial.job.record.status == "Completed"]
        histories = [trial.job.history(objective.metric) for trial in completed]
        for trial in running:
            if falls_behind(trial.job.history(objective.metric), histories, maximise=objective.maximise):
                _halt(trial)

    def _conclude(self) -> None:
        if self._record.status == "Stopping":
            self._finish("Stopped", None)
        elif self._failure:
            self._finish("Failed", self._failure)
        else:
            self._finish("Completed", None)

    def _finish(self, status: Status, reason: str | None) -> None:
        with self._lock:
            self._change(status=status, reason=reason[:1024] if reason else None, ended=self._now())

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._record = replace(self._record, modified=self._now(), **changes)


def _halt(trial: Trial) -> None:
    """Stop a trial's job, unless it is stopping already or has ended meanwhile."""
    if trial.job.record.status == "InProgress":
        try:
            trial.job.stop()
        except ApiError:
            return
