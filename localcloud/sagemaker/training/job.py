"""One training job: its request, its state, and the thread that runs it."""

import os
import threading

from localcloud.cloud import Cloud
from localcloud.sagemaker.training.driver import Driver
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.state import JobState
from localcloud.sagemaker.training.status import Record

STOP_GRACE = 120.0  # rule 16: seconds between SIGTERM and SIGKILL
_CLOSE_SECONDS = 30.0


class TrainingJob:
    """A job that runs in a thread of its own after `start`. Every method may be called from any thread.

    `tuning` is the ARN of the tuning job that launched it. `grace` and `root` are as in Attempt.
    """

    def __init__(
        self, cloud: Cloud, request: TrainingRequest, arn: str, *,
        tuning: str | None = None, grace: float = STOP_GRACE, root: bool | None = None,
    ) -> None:  # fmt: skip
        self.request, self.arn, self.tuning = request, arn, tuning
        self._state = JobState(request, now=cloud.now)
        driver = Driver(
            cloud=cloud, request=request, arn=arn, state=self._state, grace=grace,
            root=os.geteuid() == 0 if root is None else root,
        )  # fmt: skip
        self._thread = threading.Thread(target=driver.run, daemon=True, name=f"training-{request.name}")

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def record(self) -> Record:
        """The job's progress so far."""
        return self._state.record

    def history(self, metric: str) -> list[float]:
        """Return every value of a metric so far, oldest first."""
        return self._state.history(metric)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def stop(self) -> None:
        """StopTrainingJob. Raises ApiError when the job has ended."""
        self._state.stop()

    def interrupt(self) -> None:
        """Take spot capacity back, as AWS does: SIGTERM now, then a new attempt from the checkpoints.

        Raises ApiError unless this is a spot job that trains right now.
        """
        self._state.interrupt()

    def close(self) -> None:
        """Kill the containers and upload nothing, because localcloud shuts down. Returns when the thread has ended."""
        self._state.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)
