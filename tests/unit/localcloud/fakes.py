"""In-memory fakes of Docker, S3 and CloudWatch, and a minimal valid training request."""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudwatch.alarms import Alarm, State
from localcloud.cloudwatch.metrics import Store
from localcloud.containers.engine import ContainerSpec, ContainerState, EngineError, Image, ImageMissing
from localcloud.errors import ApiError
from localcloud.s3 import Location, S3Object
from localcloud.tags import Tags

IMAGE = "kennel/train:test"


@dataclass
class FakeContainer:
    """A container whose program is a Python function that returns the exit code."""

    id: str
    spec: ContainerSpec
    signals: "queue.Queue[str]" = field(default_factory=queue.Queue)
    output: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)
    exit_code: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def folder(self, target: str) -> Path:
        """The host's folder behind a path in the container."""
        best = max((m for m in self.spec.mounts if target.startswith(m.target)), key=lambda m: len(m.target))
        return Path(best.source) / target.removeprefix(best.target).lstrip("/")

    def say(self, text: str) -> None:
        self.output.put(text.encode() + b"\n")


Program = Callable[[FakeContainer], int]


class FakeEngine:
    """Docker in memory: every container runs `program` in a thread."""

    def __init__(
        self, program: Program = lambda _: 0, *, images: tuple[str, ...] = (IMAGE,), gpus: bool = False
    ) -> None:
        self.program, self.images, self.gpus = program, images, gpus
        self.containers: dict[str, FakeContainer] = {}
        self.networks: set[str] = set()
        self.specs: list[ContainerSpec] = []
        self.isolated_networks: list[str] = []
        self.refusal: str | None = None
        self._numbers = itertools.count(1)

    def tagged(self, repository: str) -> list[str]:
        return [name for name in self.images if name.startswith(f"{repository}:")]

    def image(self, reference: str) -> Image | None:
        if reference not in self.images:
            return None
        return Image(id="sha256:0", labels={}, entrypoint=(), command=(), architecture="amd64", size=1)

    def pull(self, reference: str, *, username: str, password: str) -> None:
        raise EngineError(f"{reference}: this engine reaches no registry")

    def run(self, spec: ContainerSpec) -> ContainerState:
        if spec.image not in self.images:
            raise ImageMissing(spec.image)
        if self.refusal:
            raise EngineError(self.refusal)
        container = FakeContainer(id=f"c{next(self._numbers)}", spec=spec)
        self.containers[container.id] = container
        self.specs.append(spec)
        threading.Thread(target=self._run, args=(container,), daemon=True).start()
        return self._state(container)

    def _run(self, container: FakeContainer) -> None:
        code = self.program(container)
        if not container.ended.is_set():
            container.exit_code = code
        container.output.put(None)
        container.ended.set()

    def _state(self, container: FakeContainer) -> ContainerState:
        return ContainerState(
            id=container.id, name=container.spec.name, running=not container.ended.is_set(),
            exit_code=container.exit_code or 0, oom_killed=False, error="", address="172.18.0.2", ports={}, labels={},
        )  # fmt: skip

    def inspect(self, container: str) -> ContainerState | None:
        return self._state(self.containers[container]) if container in self.containers else None

    def wait(self, container: str, timeout: float | None = None) -> int | None:
        running = self.containers.get(container)
        return running.exit_code if running and running.ended.wait(timeout) else None

    def signal(self, container: str, signal: str) -> None:
        running = self.containers[container]
        running.signals.put(signal)
        if signal == "SIGKILL":
            running.exit_code = 137
            running.output.put(None)
            running.ended.set()

    def stop(self, container: str, timeout: int) -> None:
        self.signal(container, "SIGTERM")

    def remove(self, container: str) -> None:
        if container in self.containers:
            self.signal(container, "SIGKILL")
            del self.containers[container]

    def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        output = self.containers[container].output
        return iter(output.get, None)

    def create_network(self, name: str, *, internal: bool = False) -> str:
        self.networks.add(name)
        if internal:
            self.isolated_networks.append(name)
        return name

    def remove_network(self, network: str) -> None:
        self.networks.discard(network)

    def owned(self) -> list[ContainerState]:
        return [self._state(container) for container in self.containers.values()]

    def cleanup(self) -> None:
        for container in list(self.containers):
            self.remove(container)
        self.networks.clear()

    def has_gpus(self) -> bool:
        return self.gpus


class FakeObjects:
    """S3 in memory."""

    def __init__(self, *buckets: str) -> None:
        self.buckets = set(buckets)
        self.content: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def keys(self, bucket: str) -> list[str]:
        return sorted(key for where, key in self.content if where == bucket)

    def bucket_exists(self, bucket: str) -> bool:
        return bucket in self.buckets

    def list(self, where: Location) -> list[S3Object]:
        with self._lock:
            return [
                S3Object(key=key, size=len(content), etag=str(hash(content)))
                for (bucket, key), content in sorted(self.content.items())
                if bucket == where.bucket and key.startswith(where.key) and not key.endswith("/")
            ]

    def get(self, where: Location) -> bytes | None:
        return self.content.get((where.bucket, where.key))

    def put(self, where: Location, content: bytes) -> None:
        with self._lock:
            self.content[(where.bucket, where.key)] = content

    def delete(self, where: Location) -> None:
        with self._lock:
            self.content.pop((where.bucket, where.key), None)

    def download(self, where: Location, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.content[(where.bucket, where.key)])

    def upload(self, source: Path, where: Location) -> None:
        self.put(where, source.read_bytes())


class FakeAlarms:
    """Alarms in memory: name → alarm, and the reasons of their state changes. `broken`: no new alarms."""

    def __init__(self) -> None:
        self.kept: dict[str, Alarm] = {}
        self.reasons: list[str] = []
        self.broken = False

    def alarms(self) -> list[Alarm]:
        return list(self.kept.values())

    def set_state(self, name: str, state: State, reason: str) -> None:
        self.kept[name] = replace(self.kept[name], state=state)
        self.reasons.append(f"{name}: {reason}")

    def put_alarm(self, alarm: Alarm, *, description: str) -> str:
        if self.broken:
            raise ApiError("LimitExceeded", "no alarms today")
        self.kept[alarm.name] = alarm
        return f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{alarm.name}"

    def delete_alarms(self, names: Iterable[str]) -> None:
        for name in names:
            self.kept.pop(name, None)


class FakeLogs:
    """CloudWatch Logs in memory: stream → lines."""

    def __init__(self) -> None:
        self.streams: dict[str, list[str]] = {}

    def write(self, group: str, stream: str, lines: list[tuple[datetime, str]]) -> None:
        self.streams.setdefault(f"{group}:{stream}", []).extend(text for _, text in lines)


def cloud(
    folder: Path, engine: FakeEngine | None = None, objects: FakeObjects | None = None, logs: FakeLogs | None = None
) -> Cloud:
    """A Cloud of fakes whose work folders are in `folder`."""
    return Cloud(
        instance="lc-test", account="123456789012", region="us-east-1", state_dir=folder,
        endpoint_url="http://127.0.0.1:4566", container_url="http://172.17.0.1:4566", engine=engine or FakeEngine(),
        objects=objects or FakeObjects("data"), logs=logs or FakeLogs(), tags=Tags(), now=lambda: datetime.now(UTC),
        metrics=Store(now=time.time), alarms=FakeAlarms(),
    )  # fmt: skip


def training_request(**changes: Any) -> dict[str, Any]:
    """A valid CreateTrainingJob request on bucket `data`, with members replaced (None: left out)."""
    request: dict[str, Any] = {
        "TrainingJobName": "job-1",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/train",
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return {name: value for name, value in (request | changes).items() if value is not None}


def channel(name: str = "train", uri: str = "s3://data/in/", **source: Any) -> dict[str, Any]:
    """One S3 input channel."""
    described = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"} | source
    return {"ChannelName": name, "DataSource": {"S3DataSource": described}}
