"""One attempt at a training job: from empty instances, over download, training and upload, to their end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.cloudwatch.metrics import metric, summary
from localcloud.containers.engine import EngineError, ImageMissing
from localcloud.containers.work_folder import WorkFolder
from localcloud.errors import ApiError
from localcloud.s3 import Objects
from localcloud.sagemaker.training import data
from localcloud.sagemaker.training.container import config_files, docker_name
from localcloud.sagemaker.training.hosts import HostContainers
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.state import JobState
from localcloud.sagemaker.training.status import (
    MAX_RUNTIME_EXCEEDED,
    MAX_WAIT_TIME_EXCEEDED,
    Outcome,
    failed,
    failure_reason,
)
from localcloud.sagemaker.training.supervise import Deadline, supervise

METRICS = "/aws/sagemaker/TrainingJobs"  # the namespace of training metrics in CloudWatch


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt, in a work folder of its own.

    `trained` is how many seconds earlier attempts trained, `grace` the seconds between SIGTERM and SIGKILL. `root` says
    that this process is root, and so can read what the containers' root writes.
    """

    cloud: Cloud
    request: TrainingRequest
    arn: str
    state: JobState
    folder: Path
    trained: float
    grace: float
    root: bool

    def run(self) -> Outcome:
        """Return how the attempt ended; an error on the way is the job's failure. Raises ClosingError."""
        try:
            return self._run(self._prepare())
        except (ApiError, EngineError, Boto3Error, BotoCoreError, ClientError, OSError) as error:
            self.state.pending()  # while localcloud shuts down its own S3 fails: that is no failure of the job
            return self._failure(error)
        finally:
            self.work_folder().clear()

    def _prepare(self) -> list[Path]:
        """Make a fresh /opt/ml tree for every host."""
        roots = [self.folder / host.name for host in self.request.hosts]
        for root, host in zip(roots, self.request.hosts, strict=True):
            for part in ("input/config", "input/data", "model", "output/data", "checkpoints"):
                (root / part).mkdir(parents=True)
            for name, text in config_files(self.request, host).items():
                (root / "input" / "config" / name).write_text(text)
        return roots

    def _run(self, roots: list[Path]) -> Outcome:
        self.state.begin()
        self.state.enter("Downloading")
        image = self._image()
        data.download(self._sources(), roots, self._objects)
        checkpoints = self._checkpoints(roots)
        if checkpoints:
            checkpoints.restore()
        if pending := self.state.pending():
            return pending
        self.state.enter("Training")
        outcome = self._train(roots, image, checkpoints)
        if not self.root:
            self.work_folder().make_accessible()
        if checkpoints:
            checkpoints.sync()
        if not outcome.interrupted:
            self._upload(roots, outcome)
        return outcome

    @property
    def _objects(self) -> Objects:
        """S3 as the job's role sees it."""
        return self.cloud.objects_as(self.request.role)

    def _image(self) -> str:
        """The engine's name for the image. Raises ApiError, EngineError when it cannot be pulled."""
        return self.cloud.images.ensure_pulled(self.request.image)

    def _sources(self) -> list[data.Source]:
        where = {"region": self.cloud.region, "role": self.request.role}
        return [data.locate(channel, self._objects, **where) for channel in self.request.channels]

    def _checkpoints(self, roots: Sequence[Path]) -> data.Checkpoints | None:
        config = self.request.checkpoints
        if config is None:
            return None
        return data.Checkpoints(config.where, data.folders_of(roots, "checkpoints"), self._objects)

    def _train(self, roots: Sequence[Path], image: str, checkpoints: data.Checkpoints | None) -> Outcome:
        """Run the containers to their end, and remove them however this ends."""
        began = time.monotonic()
        containers = HostContainers(
            self.cloud,
            self.request,
            self.arn,
            image=image,
            epoch_ms=int(self.state.record.created.timestamp() * 1000),
            on_line=self._read_line,
            on_exit=self.state.wake,
        )
        try:
            containers.start(roots)
            outcome = supervise(
                containers, self.state, deadline=self._deadline(), grace=self.grace, checkpoints=checkpoints
            )
            if outcome.status == "Failed":
                outcome = failed(_reason(roots, containers))
            return replace(outcome, trained=time.monotonic() - began)
        finally:
            containers.remove(drain=not self.state.closing)

    def _read_line(self, line: str) -> None:
        """Publish the line's metrics, as SageMaker does (rule 104)."""
        values = self.state.scan(line)
        names = {name: metric(METRICS, name, TrainingJobName=self.request.name) for name in values}
        if values:
            self.cloud.metrics.put([summary(names[name], [value]) for name, value in values.items()])

    def _deadline(self) -> Deadline:
        limits, record = self.request.limits, self.state.record
        left, outcome = limits.runtime - self.trained, MAX_RUNTIME_EXCEEDED
        if limits.wait is not None:
            waiting = limits.wait - (self.cloud.now() - record.created).total_seconds()
            if waiting < left:
                left, outcome = waiting, MAX_WAIT_TIME_EXCEEDED
        return Deadline(at=time.monotonic() + left, outcome=outcome)

    def _upload(self, roots: Sequence[Path], outcome: Outcome) -> None:
        output = self.request.output
        where = output.where / self.request.name / "output"
        if outcome.status == "Completed":
            self.state.enter("Uploading")

        def upload(files: dict[str, Path], name: str) -> str:
            return data.upload_artifacts(
                files, where, name=name, compress=output.compress, scratch=self.folder, objects=self._objects
            )

        extra = data.merged(data.folders_of(roots, "output", "data"))
        if extra:
            upload(extra, "output")
        model = data.merged(data.folders_of(roots, "model"))
        if outcome.status == "Completed" or (outcome.status == "Stopped" and model):
            self.state.uploaded(upload(model, "model"))

    def _failure(self, error: Exception) -> Outcome:
        """An error on the way in SageMaker's words."""
        if isinstance(error, ApiError):
            return failed(f"ClientError: {error.message}")
        if isinstance(error, ImageMissing):
            return failed(
                f"ClientError: Cannot find image {self.request.image} in the local Docker engine. Build or pull it "
                "first."
            )
        if isinstance(error, EngineError):
            return failed(
                "ClientError: CannotStartContainerError. Please make sure the container can be run with "
                f"'docker run <image> train'. {error}"
            )
        return failed(f"ClientError: Data transfer failed: {error}")

    def work_folder(self) -> WorkFolder:
        """The attempt's folder, with the job's image to open it up."""
        try:
            image = self._image()
        except (ApiError, EngineError):  # then no container of this image has written anything
            image = self.request.image
        name = docker_name(self.cloud.instance, self.request.name, self.arn, "chmod")
        return WorkFolder(engine=self.cloud.engine, path=self.folder, image=image, name=name)


def _reason(roots: Sequence[Path], containers: HostContainers) -> str:
    """FailureReason: the failure file of the first host that failed, else any other host's (rules 12, 13)."""
    host, code = next((host, code) for host, code in containers.exits().items() if code)
    texts = {}
    for root in roots:
        path = root / "output" / "failure"
        texts[root.name] = path.read_text(errors="replace").strip() if path.is_file() else ""
    text = texts[host] or next((text for text in texts.values() if text), "")
    return failure_reason(text, code, out_of_memory=containers.out_of_memory(host))
