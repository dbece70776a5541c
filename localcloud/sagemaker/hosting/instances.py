"""Starts, pings and stops the containers of a model on this machine: one container per instance."""

import itertools
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from localcloud.cloud import Cloud
from localcloud.cloudwatch.logs import LogForwarder, lines
from localcloud.containers.engine import ContainerSpec, ContainerState, EngineError, Image, ImageMissing, Mount
from localcloud.containers.http import BrokenError, HttpClient, PooledHttpClient, TimedOutError, UnreachableError
from localcloud.errors import ApiError
from localcloud.s3 import Objects
from localcloud.sagemaker.hosting.configs import model_container
from localcloud.sagemaker.hosting.model_data import ModelDataError, fill

Thing = TypeVar("Thing")
Result = TypeVar("Result")

PORT = 8080
STARTUP_SECONDS = 480  # rule 29: ContainerStartupHealthCheckTimeoutInSeconds's default
PING_SECONDS = 2.0
PING_EVERY = 0.1
STOP_SECONDS = 30  # rule 36


class StartError(Exception):
    """An instance did not come into service; the message becomes the endpoint's FailureReason."""


@dataclass(kw_only=True, eq=False)
class Instance:
    """One container behind an endpoint, reached through `http`."""

    container: str
    stream: str
    http: HttpClient
    outstanding: int = 0
    misses: int = 0


@dataclass(frozen=True, kw_only=True)
class InstanceSpec:
    """Everything needed to start a variant's instances. `asynchronous` is the endpoint's AsyncInferenceConfig."""

    endpoint: str
    variant: Mapping[str, Any]
    model: Mapping[str, Any]
    folder: Path
    asynchronous: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.variant["VariantName"])

    @property
    def group(self) -> str:
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"

    @property
    def title(self) -> str:
        """The variant's name in SageMaker's messages."""
        return f"production variant {self.name}"

    @property
    def container(self) -> str:
        """The first part of the containers' names."""
        return f"endpoint-{self.endpoint}-{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        return {"kennel.endpoint": self.endpoint, "kennel.variant": self.name}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the platform adds to the model's own."""
        return {}

    @property
    def role(self) -> str:
        """The role of the model, with which everything around it is done."""
        return str(self.model.get("ExecutionRoleArn", ""))

    @property
    def startup(self) -> float:
        return float(self.variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS))


def port_of(container: Mapping[str, Any]) -> int:
    """Return the port that the container listens on (rule 27)."""
    return int(container.get("Environment", {}).get("SAGEMAKER_BIND_TO_PORT", PORT))


def container_spec(spec: InstanceSpec, cloud: Cloud, mark: str, network: str | None = None) -> ContainerSpec:
    """Return one instance's container: `docker run IMAGE serve` as SageMaker does (rules 25, 37, 38)."""
    container = model_container(spec.model)
    memory = spec.variant.get("ServerlessConfig", {}).get("MemorySizeInMB")
    environment = {
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_ENDPOINT_URL": cloud.container_url,
        **cloud.credentials(spec.role).environment,
    }
    return ContainerSpec(
        image=cloud.images.ensure_pulled(container["Image"]),
        name=f"{cloud.instance}-{spec.container}-{mark}",
        command=("serve",),
        environment=environment | container.get("Environment", {}) | spec.environment,
        mounts=(Mount(source=str(spec.folder), target="/opt/ml/model", read_only=True),),
        publish=() if network else (port_of(container),),
        network=network,
        memory=memory * 1024 * 1024 if memory else None,
        gpus=gpus_of(spec.variant.get("InstanceType", "")) if cloud.engine.has_gpus() else 0,
        labels=spec.labels,
    )


def gpus_of(instance_type: str) -> int:
    """Return -1 (every GPU of this host) for an instance type that has GPUs, else 0."""
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return -1 if family.startswith(("g4", "g5", "g6", "g7", "p2", "p3", "p4", "p5", "p6")) else 0


@dataclass(kw_only=True)
class Host:
    """Starts and stops instances. `connect` opens a connection; `closing`, once set, ends every wait.

    `direct` says that this machine reaches container addresses without a published port.
    """

    cloud: Cloud
    connect: Callable[[str, int], HttpClient] = PooledHttpClient
    fill: Callable[[Mapping[str, Any], Objects, Path], None] = fill
    clock: Callable[[], float] = time.monotonic
    closing: threading.Event = field(default_factory=threading.Event)
    isolated: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    direct: bool = sys.platform == "linux"

    def prepare(self, spec: InstanceSpec) -> str:
        """Fill the model folder; return the image's reference by digest. Raises StartError."""
        container = model_container(spec.model)
        if not self.cloud.may_pull(container["Image"], spec.role):
            raise StartError(
                f"The role '{spec.role}' does not have BatchGetImage permission for the image: '{container['Image']}'."
            )
        image = self._image(spec, container["Image"])
        if image is None:
            raise StartError(
                f"CannotStartContainerError. The image {container['Image']} of {spec.title} is no "
                "longer held by the local Docker engine. Build it again, or docker pull it."
            )
        try:
            self.fill(container, self.cloud.objects_as(spec.role), spec.folder)
        except ModelDataError as error:
            raise StartError(str(error)) from None
        return self.cloud.images.resolved(container["Image"], image)

    def _image(self, spec: InstanceSpec, reference: str) -> Image | None:
        try:
            return self.cloud.images.find(reference)
        except (ApiError, EngineError) as error:
            raise StartError(
                f"CannotStartContainerError. The image {reference} of {spec.title} cannot be pulled: {error}"
            ) from None

    def start(self, spec: InstanceSpec) -> Instance:
        """Run one container and wait until it answers /ping. Raises StartError after removing the container."""
        if self.closing.is_set():
            raise StartError("localcloud is shutting down.")
        mark = uuid.uuid4().hex[:17]
        try:
            network = self._isolated() if spec.model.get("EnableNetworkIsolation") else None
            state = self.cloud.engine.run(container_spec(spec, self.cloud, mark, network))
        except ImageMissing as error:
            raise StartError(f"CannotStartContainerError. {error}") from None
        except (ApiError, EngineError) as error:
            image = model_container(spec.model)["Image"]
            raise StartError(
                f"CannotStartContainerError. Please ensure the model container for {spec.title} starts correctly "
                f"when invoked with 'docker run {image} serve'. ({error})"
            ) from None
        stream = f"{spec.name}/i-{mark}"
        LogForwarder(
            self.cloud.engine.logs(state.id, follow=True), self.cloud.logs_as(spec.role), spec.group, stream,
            now=self.cloud.now,
        ).start()  # fmt: skip
        try:
            http = self._await_ping(spec, state)
        except StartError:
            self.cloud.engine.remove(state.id)
            raise
        return Instance(container=state.id, stream=stream, http=http)

    def _isolated(self) -> str:
        """Return the internal network for models with EnableNetworkIsolation; created when first needed."""
        with self.lock:
            if self.isolated is None:
                self.isolated = self.cloud.engine.create_network(f"{self.cloud.instance}-isolated", internal=True)
            return self.isolated

    def _await_ping(self, spec: InstanceSpec, state: ContainerState) -> HttpClient:
        port = port_of(model_container(spec.model))
        clients = [self.connect(host, number) for host, number in self._addresses(state, port)]
        until = self.clock() + spec.startup
        for attempt in itertools.count():
            began = self.clock()
            for http in clients:
                if ping(http):
                    return http
            # Inspect the container only now and then: an inspection costs more than a ping.
            due = attempt % 5 == 4 or self.clock() - began > 0.5
            if due and not _runs(self.cloud.engine.inspect(state.id)):
                raise StartError(self._unhealthy(spec, state.id, "the container ended"))
            if self.clock() >= until:
                raise StartError(self._unhealthy(spec, state.id, f"no 200 within {spec.startup:g} s"))
            if self.closing.wait(min(PING_EVERY * (1 + attempt / 10), 1.0)):
                break
        raise StartError("localcloud is shutting down.")

    def _addresses(self, state: ContainerState, port: int) -> list[tuple[str, int]]:
        direct = [(state.address, port)] if self.direct and state.address else []
        return direct + ([("127.0.0.1", state.ports[port])] if port in state.ports else [])

    def _unhealthy(self, spec: InstanceSpec, container: str, why: str) -> str:
        """Return SageMaker's message, followed by the container's last log lines, which SageMaker leaves out."""
        output = lines(self.cloud.engine.logs(container, tail=5))
        words = " | ".join(line.strip() for line in output if line.strip())
        return (
            f"The primary container for {spec.title} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. (localcloud: {why}; it last said: {words or 'nothing'})"
        )[:1024]

    def alive(self, instance: Instance) -> bool:
        """Ping once; False after three misses in a row, or at once when the container has ended."""
        if not _runs(self.cloud.engine.inspect(instance.container)):
            return False
        instance.misses = 0 if ping(instance.http) else instance.misses + 1
        return instance.misses < 3

    def stop(self, instances: Sequence[Instance], *, grace: int = STOP_SECONDS) -> None:
        """Stop all at the same time: SIGTERM, after the grace SIGKILL (rule 36), then remove."""

        def end(instance: Instance) -> None:
            try:
                self.cloud.engine.stop(instance.container, grace)
            finally:
                self.cloud.engine.remove(instance.container)
                instance.http.close()

        each_at_once(end, instances)


def ping(http: HttpClient) -> bool:
    """Tell whether /ping answers 200 within 2 s (rule 29)."""
    try:
        return http.request("GET", "/ping", body=None, headers={}, timeout=PING_SECONDS).status == 200
    except (UnreachableError, TimedOutError, BrokenError):
        return False


def _runs(state: ContainerState | None) -> bool:
    return state is not None and state.running


def each_at_once(work: Callable[[Thing], Result], things: Sequence[Thing]) -> list[Result]:
    """Call `work` for all things at the same time; after the last one return the results or raise the first error."""
    if not things:
        return []
    with ThreadPoolExecutor(len(things)) as pool:
        futures = [pool.submit(work, thing) for thing in things]
    return [future.result() for future in futures]
