"""The Docker client: the only module that talks to Docker. It labels what it creates `kennel.localcloud=<instance>`."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Protocol

import docker.errors
import requests
from docker.types import DeviceRequest, LogConfig
from docker.types import Mount as DockerMount

import docker
from localcloud.errors import LocalcloudError

LABEL = "kennel.localcloud"


class EngineError(LocalcloudError):
    """Docker refused a request; the message is Docker's own."""


class ImageMissing(EngineError):  # noqa: N818 (the noun people search for)
    """The local engine does not have the image."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder or file of this host inside a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container to run. Empty `entrypoint` and `command` keep the image's own. Sizes in bytes, cpus in cores.

    `publish` lists container ports; each gets an ephemeral port of 127.0.0.1, because on a Mac the host cannot reach
    container addresses.
    """

    image: str
    name: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    hostname: str | None = None
    aliases: tuple[str, ...] = ()
    publish: tuple[int, ...] = ()
    cpus: float | None = None
    memory: int | None = None
    shm_size: int | None = None
    read_only: bool = False
    user: str | None = None
    working_directory: str | None = None
    gpus: int = 0
    capabilities: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ContainerState:
    """A container's state. `address` is its IP on its network; `ports`: container port → port of 127.0.0.1."""

    id: str
    name: str
    running: bool
    exit_code: int
    oom_killed: bool
    error: str
    address: str
    ports: Mapping[int, int]
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of the engine. `id` is its digest `sha256:…`, `size` in bytes."""

    id: str
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    architecture: str
    size: int


class Engine(Protocol):
    """What localcloud needs of Docker. Tests use an in-memory engine."""

    def image(self, reference: str) -> Image | None: ...
    def pull(self, reference: str, *, username: str, password: str) -> None: ...
    def tagged(self, repository: str) -> list[str]: ...
    def run(self, spec: ContainerSpec) -> ContainerState: ...
    def inspect(self, container: str) -> ContainerState | None: ...
    def wait(self, container: str, timeout: float | None = None) -> int | None: ...
    def signal(self, container: str, signal: str) -> None: ...
    def stop(self, container: str, timeout: int) -> None: ...
    def remove(self, container: str) -> None: ...
    def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]: ...
    def create_network(self, name: str, *, internal: bool = False) -> str: ...
    def remove_network(self, network: str) -> None: ...
    def owned(self) -> list[ContainerState]: ...
    def cleanup(self) -> None: ...
    def has_gpus(self) -> bool: ...


class DockerEngine:
    """The real engine, through Docker's SDK. Raises EngineError with Docker's message, or ImageMissing."""

    def __init__(self, instance: str, client: docker.DockerClient | None = None) -> None:
        self.instance = instance
        self._client = client or connect()

    def image(self, reference: str) -> Image | None:
        try:
            image = self._client.images.get(reference)
        except docker.errors.ImageNotFound:
            return None
        except docker.errors.APIError as error:
            raise _engine_error(error) from None
        config: dict[str, Any] = image.attrs.get("Config") or {}
        return Image(
            id=image.id or "",
            labels=config.get("Labels") or {},
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            architecture=image.attrs.get("Architecture", ""),
            size=image.attrs.get("Size", 0),
        )

    def tagged(self, repository: str) -> list[str]:
        """The references of a repository's images, the newest first."""
        images = sorted(self._client.images.list(repository), key=lambda image: image.attrs["Created"], reverse=True)
        return [tag for image in images for tag in image.tags if tag.startswith(f"{repository}:")]

    def pull(self, reference: str, *, username: str, password: str) -> None:
        """Pull an image. The password is sent with this request only and stored nowhere."""
        credentials = {"username": username, "password": password}
        try:
            for event in self._client.api.pull(reference, auth_config=credentials, stream=True, decode=True):
                if "error" in event:
                    raise EngineError(str(event["error"]))
        except docker.errors.APIError as error:
            raise _engine_error(error) from None

    def run(self, spec: ContainerSpec) -> ContainerState:
        """Create and start a container. Removes it again when it cannot start."""
        try:
            container = self._client.containers.create(**self._arguments(spec))
        except docker.errors.ImageNotFound as error:
            raise ImageMissing(f"the Docker engine does not have the image {spec.image}: {error.explanation}") from None
        except docker.errors.APIError as error:
            raise _engine_error(error) from None
        try:
            if spec.network and (spec.aliases or spec.hostname):
                network = self._client.networks.get(spec.network)
                network.disconnect(container)
                network.connect(container, aliases=[*spec.aliases, *([spec.hostname] if spec.hostname else [])])
            container.start()
        except docker.errors.APIError as error:
            self.remove(container.id or "")
            raise _engine_error(error) from None
        container.reload()
        return _state(container.attrs)

    def _arguments(self, spec: ContainerSpec) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "image": spec.image,
            "name": spec.name,
            "command": list(spec.command) or None,
            "entrypoint": list(spec.entrypoint) or None,
            "environment": dict(spec.environment),
            "mounts": [
                DockerMount(target=m.target, source=m.source, type="bind", read_only=m.read_only) for m in spec.mounts
            ],
            "tmpfs": dict(spec.tmpfs),
            "network": spec.network,
            "hostname": spec.hostname,
            "ports": {f"{port}/tcp": ("127.0.0.1", None) for port in spec.publish},
            "nano_cpus": int(spec.cpus * 1e9) if spec.cpus else None,
            "mem_limit": spec.memory,
            "shm_size": spec.shm_size,
            "read_only": spec.read_only,
            "user": spec.user,
            "working_dir": spec.working_directory,
            "device_requests": [DeviceRequest(count=spec.gpus, capabilities=[["gpu"]])] if spec.gpus else None,
            "cap_add": list(spec.capabilities) or None,
            "labels": {**spec.labels, LABEL: self.instance},
            # Small: CloudWatch Logs keeps the complete logs.
            "log_config": LogConfig(type="json-file", config={"max-size": "50m", "max-file": "2"}),
            "detach": True,
        }
        return {key: value for key, value in arguments.items() if value is not None}

    def inspect(self, container: str) -> ContainerState | None:
        try:
            return _state(self._client.api.inspect_container(container))
        except docker.errors.NotFound:
            return None
        except docker.errors.APIError as error:
            raise _engine_error(error) from None

    def wait(self, container: str, timeout: float | None = None) -> int | None:
        """The exit code; None when the container still runs after `timeout` seconds or no longer exists."""
        try:
            return int(self._client.api.wait(container, timeout=math.ceil(timeout or 10**7))["StatusCode"])
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError, docker.errors.NotFound):
            return None

    def signal(self, container: str, signal: str) -> None:
        """Send a signal; a container that has ended already is left alone."""
        try:
            self._client.api.kill(container, signal=signal)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise _engine_error(error) from None

    def stop(self, container: str, timeout: int) -> None:
        """Sends SIGTERM, after `timeout` seconds SIGKILL, and returns when the container has ended."""
        try:
            self._client.api.stop(container, timeout=timeout)
        except docker.errors.APIError as error:
            if error.status_code not in (304, 404):
                raise _engine_error(error) from None

    def remove(self, container: str) -> None:
        """Remove a container, running or not, with its anonymous volumes. Does nothing when it no longer exists."""
        try:
            self._client.api.remove_container(container, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):  # 409: Docker is removing it already
                raise _engine_error(error) from None

    def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        """Chunks of stdout and stderr: all of it, or the last `tail` lines. With `follow`, until the container ends."""
        try:
            yield from self._client.api.logs(
                container, stdout=True, stderr=True, stream=True, follow=follow, tail="all" if tail is None else tail
            )
        except (docker.errors.NotFound, requests.exceptions.ChunkedEncodingError):
            return
        except docker.errors.APIError as error:
            raise _engine_error(error) from None

    def create_network(self, name: str, *, internal: bool = False) -> str:
        try:
            network = self._client.networks.create(
                name, driver="bridge", internal=internal, labels={LABEL: self.instance}
            )
        except docker.errors.APIError as error:
            raise _engine_error(error) from None
        return network.id or name

    def remove_network(self, network: str) -> None:
        try:
            self._client.api.remove_network(network)
        except docker.errors.APIError as error:
            if error.status_code != 404:
                raise _engine_error(error) from None

    def owned(self) -> list[ContainerState]:
        """This instance's containers, running or not."""
        entries = self._client.api.containers(all=True, filters={"label": f"{LABEL}={self.instance}"})
        return [state for state in (self.inspect(entry["Id"]) for entry in entries) if state is not None]

    def cleanup(self) -> None:
        """Remove every container and network of this instance, running or not."""
        for state in self.owned():
            self.remove(state.id)
        for network in self._client.api.networks(filters={"label": f"{LABEL}={self.instance}"}):
            self.remove_network(network["Id"])

    def has_gpus(self) -> bool:
        return "nvidia" in (self._client.info().get("Runtimes") or {})


def connect() -> docker.DockerClient:
    """A client of the local Docker engine. Raises LocalcloudError when no engine answers."""
    try:
        client = docker.from_env(timeout=120, max_pool_size=64)
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LocalcloudError(f"no Docker engine answers ({error}); start one: ./inv engine") from None
    return client


def gateway_address(client: docker.DockerClient) -> str | None:
    """The host's address on the default bridge; containers on any bridge network reach this host there.

    None when the engine does not report it.
    """
    try:
        config = (client.networks.get("bridge").attrs["IPAM"]["Config"] or [{}])[0]
    except (docker.errors.APIError, KeyError):
        return None
    if config.get("Gateway"):
        return str(config["Gateway"])
    # Engine 20.10 does not report the gateway; it takes the subnet's first address.
    return str(next(ip_network(config["Subnet"]).hosts())) if config.get("Subnet") else None


def _engine_error(error: docker.errors.APIError) -> EngineError:
    return EngineError(str(error.explanation or error))


def _state(attributes: Mapping[str, Any]) -> ContainerState:
    state, settings = attributes["State"], attributes.get("NetworkSettings") or {}
    addresses = [n.get("IPAddress", "") for n in (settings.get("Networks") or {}).values() if n.get("IPAddress")]
    ports = {
        int(port.partition("/")[0]): int(bound[0]["HostPort"])
        for port, bound in (settings.get("Ports") or {}).items()
        if bound
    }
    return ContainerState(
        id=attributes["Id"],
        name=attributes["Name"].lstrip("/"),
        running=bool(state.get("Running")),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        address=addresses[0] if addresses else "",
        ports=ports,
        labels=(attributes.get("Config") or {}).get("Labels") or {},
    )
