"""A training job's state, shared by the threads that serve requests and the threads that run the job."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from localcloud.sagemaker.records import invalid
from localcloud.sagemaker.training.metrics import MetricScanner
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.status import ENDED, INTERRUPTED, STOPPED, Outcome, Record

Command = Literal["stop", "interrupt", "close"]


class ClosingError(Exception):
    """localcloud is shutting down."""


class JobState:
    """The job's record, the command that is pending for it, and its metrics, behind one lock. Thread-safe.

    `stop`, `interrupt` and `close` come from requests. The job's own thread moves the record forward and reads the
    pending command. Of two commands `close` wins over `stop`, and `stop` over `interrupt`.
    """

    def __init__(self, request: TrainingRequest, *, now: Callable[[], datetime]) -> None:
        self._request, self._now = request, now
        created = now()
        self._lock = threading.Lock()
        self._record = Record(created=created, modified=created).entered("Starting", created)
        self._command: Command | None = None
        self._scanner = MetricScanner(request.metrics)
        self._changed = threading.Event()

    @property
    def record(self) -> Record:
        with self._lock:
            return self._record

    def history(self, metric: str) -> list[float]:
        """Return every value of a metric so far, oldest first."""
        with self._lock:
            return self._scanner.history(metric)

    # ------------------------------------------------------------------------------------------ commands

    def stop(self) -> None:
        """Ask the job to stop. Raises ApiError when it has ended."""
        with self._lock:
            if self._record.status in ENDED:
                raise invalid(f"The request was rejected because the training job is in status {self._record.status}.")
            if self._record.status != "Stopping":
                self._record = self._record.entered("Stopping", self._now(), status="Stopping")
            if self._command != "close":
                self._command = "stop"
        self.wake()

    def interrupt(self) -> None:
        """Take the spot capacity back. Raises ApiError unless this is a spot job that trains right now."""
        name = self._request.name
        if not self._request.spot:
            raise invalid(f"{name} is not a spot job: EnableManagedSpotTraining is not set.")
        with self._lock:
            if self._record.secondary != "Training":
                raise invalid(f"{name} is {self._record.secondary}, not Training.")
            if self._command is None:
                self._command = "interrupt"
        self.wake()

    def close(self) -> None:
        """Ask the job to end at once, because localcloud shuts down."""
        with self._lock:
            self._command = "close"
        self.wake()

    @property
    def closing(self) -> bool:
        with self._lock:
            return self._command == "close"

    def pending(self) -> Outcome | None:
        """Return the outcome that the pending command leads to, if any. Raises ClosingError when closing."""
        with self._lock:
            command = self._command
        if command == "close":
            raise ClosingError
        return {"stop": STOPPED, "interrupt": INTERRUPTED}.get(command or "")

    # ------------------------------------------------------------------------------------------ waiting

    def wake(self) -> None:
        """End the wait of the job's thread: a command arrived, or a container exited."""
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Wait until `wake` is called, at most so many seconds. Only the job's own thread waits."""
        self._changed.wait(max(0.0, seconds))
        self._changed.clear()

    # ------------------------------------------------------------------------------------------ progress

    def enter(self, secondary: str) -> None:
        """Move to another secondary status, unless the job is stopping."""
        with self._lock:
            self._enter(secondary)

    def _enter(self, secondary: str) -> None:
        if self._record.status == "InProgress":
            self._record = self._record.entered(secondary, self._now())

    def begin(self) -> None:
        """Set TrainingStartTime, once: a spot job's second attempt does not change it."""
        with self._lock:
            self._record = replace(self._record, started=self._record.started or self._now())

    def resume(self) -> None:
        """Record the interruption and forget its command, so that the next attempt is not interrupted by it."""
        with self._lock:
            self._enter("Interrupted")
            if self._command == "interrupt":
                self._command = None

    def scan(self, line: str) -> dict[str, float]:
        """Take the metrics out of a log line, and return them: name → value."""
        with self._lock:
            now = self._now()
            values = self._scanner.scan(line)
            if values:
                metrics = {name: (name, value, when) for name, value, when in self._record.metrics}
                metrics |= {name: (name, value, now) for name, value in values.items()}
                self._record = replace(self._record, metrics=tuple(metrics.values()))
            return values

    def uploaded(self, artifacts: str) -> None:
        """Record the S3 address of the model."""
        with self._lock:
            self._record = replace(self._record, artifacts=artifacts)

    def finish(self, outcome: Outcome) -> None:
        """End the job."""
        with self._lock:
            now = self._now()
            ended = self._record.entered(outcome.secondary, now, status=outcome.status)
            self._record = replace(ended, failure=outcome.failure, ended=now)
