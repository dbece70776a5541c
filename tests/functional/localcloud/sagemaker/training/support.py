"""One training job on an in-memory Docker and S3, and the programs that its containers run."""

import io
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.sagemaker.training.describe import describe
from localcloud.sagemaker.training.job import TrainingJob
from localcloud.sagemaker.training.request import parse
from tests.unit.localcloud.fakes import (
    FakeContainer,
    FakeEngine,
    FakeLogs,
    FakeObjects,
    Program,
    cloud,
    training_request,
)

SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
    "CheckpointConfig": {"S3Uri": "s3://data/ck"},
}


class Bench:
    """One localcloud of fakes with one job on it."""

    def __init__(
        self, folder: Path, program: Program = lambda _: 0, *, objects: FakeObjects | None = None, **changes: Any
    ) -> None:
        self.engine, self.objects, self.logs = FakeEngine(program), objects or FakeObjects("data"), FakeLogs()
        self.folder = folder
        self.cloud = cloud(folder, self.engine, self.objects, self.logs)
        self.request = parse(training_request(**changes))

    def start(self, grace: float = 120.0, root: bool = True) -> TrainingJob:
        self.job = TrainingJob(
            self.cloud, self.request, "arn:aws:sagemaker:us-east-1:1:training-job/job-1", grace=grace, root=root
        )
        self.job.start()
        return self.job

    def finish(self, grace: float = 120.0) -> dict[str, Any]:
        self.start(grace)
        return self.wait()

    def wait(self) -> dict[str, Any]:
        self.job.join(20)
        return describe(self.job)

    def tar(self, key: str) -> dict[str, bytes]:
        content = self.objects.content[("data", key)]
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {m.name: f.read() for m in tar.getmembers() if (f := tar.extractfile(m)) is not None}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def obedient(started: threading.Event | None = None, code: int = 0) -> Program:
    """A program that runs until SIGTERM."""

    def program(container: FakeContainer) -> int:
        if started:
            started.set()
        while container.signals.get() != "SIGTERM":
            pass
        return code

    return program


def hosts(count: int) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}
