"""Drives a training job from Starting to its end: attempts, as many as spot interruptions make of it."""

import traceback
from dataclasses import dataclass
from pathlib import Path

from localcloud.cloud import Cloud
from localcloud.sagemaker.training.attempt import Attempt
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.state import ClosingError, JobState
from localcloud.sagemaker.training.status import Outcome, failed


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Runs one job in the thread that calls `run`. `grace` and `root` are as in Attempt."""

    cloud: Cloud
    request: TrainingRequest
    arn: str
    state: JobState
    grace: float
    root: bool

    def run(self) -> None:
        """Run the job and record its outcome. Raises nothing: a bug of localcloud fails the job."""
        try:
            outcome = self._outcome()
        except ClosingError:
            outcome = failed("ClientError: localcloud went down")
        except Exception as error:
            traceback.print_exc()
            outcome = failed(f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}")
        try:
            self._attempt(self._folder, trained=0.0).work_folder().clear()
        finally:
            self.state.finish(outcome)  # last: from here on another job may take the name, and with it the folder

    def _outcome(self) -> Outcome:
        number, trained = 1, 0.0
        while True:
            outcome = self._attempt(self._folder / str(number), trained=trained).run()
            if not outcome.interrupted:
                return outcome
            self.state.resume()
            self.state.enter("Starting")
            number, trained = number + 1, trained + outcome.trained

    @property
    def _folder(self) -> Path:
        return self.cloud.state_dir / "work" / f"training-{self.request.name}"

    def _attempt(self, folder: Path, *, trained: float) -> Attempt:
        return Attempt(
            cloud=self.cloud, request=self.request, arn=self.arn, state=self.state, folder=folder, trained=trained,
            grace=self.grace, root=self.root,
        )  # fmt: skip
