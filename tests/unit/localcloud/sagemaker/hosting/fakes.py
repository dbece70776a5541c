"""Serving containers in memory: an engine whose containers run until stopped, and clients that end in them."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.containers.engine import ContainerSpec, ContainerState, EngineError, Image
from localcloud.containers.http import Response, UnreachableError
from tests.unit.localcloud.fakes import FakeEngine, FakeObjects, cloud

Serve = Callable[["Served", str, str, bytes, Mapping[str, str]], Response]


@dataclass(kw_only=True)
class Served:
    """One running container: its log output, and the requests that it got."""

    id: str
    spec: ContainerSpec
    address: str
    running: bool = True
    output: list[bytes] = field(default_factory=lambda: [b"last words\n"])
    requests: list[tuple[str, str, bytes, Mapping[str, str], float]] = field(default_factory=list)


def healthy(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """Answer 200 to everything, with the image's name."""
    return Response(status=200, headers={"Content-Type": "text/plain"}, body=container.spec.image.encode())


class ServingEngine(FakeEngine):
    """Docker in memory; `serve` answers for every container, `refused` images do not start.

    `on_run`: what happens once, while the next container starts.
    """

    def __init__(self, serve: Serve = healthy, *, images: tuple[str, ...] = ("serve:1", "serve:2")) -> None:
        super().__init__(images=images)
        self.serve, self.served = serve, dict[str, Served]()
        self.refused: set[str] = set()
        self.on_run: Callable[[], object] | None = None
        self.stopped: list[tuple[str, int]] = []
        self._next = itertools.count(1)

    def image(self, reference: str) -> Image | None:
        if reference not in self.images:
            return None
        return Image(
            id=f"sha256:{reference}", labels={}, entrypoint=("run",), command=("handler",), architecture="amd64", size=1
        )

    def run(self, spec: ContainerSpec) -> ContainerState:
        if spec.image in self.refused:
            raise EngineError("no such file: serve")
        number = next(self._next)
        made = Served(id=f"c{number}", spec=spec, address=f"10.0.0.{number}")
        self.served[made.id] = made
        self.specs.append(spec)
        on_run, self.on_run = self.on_run, None
        if on_run is not None:
            on_run()
        return self.stand(made)

    def stand(self, made: Served) -> ContainerState:
        return ContainerState(
            id=made.id, name=made.spec.name, running=made.running, exit_code=0, oom_killed=False, error="",
            address=made.address, ports={}, labels=made.spec.labels,
        )  # fmt: skip

    def inspect(self, container: str) -> ContainerState | None:
        return self.stand(self.served[container]) if container in self.served else None

    def stop(self, container: str, timeout: int) -> None:
        self.stopped.append((container, timeout))
        self.served[container].running = False

    def remove(self, container: str) -> None:
        self.served.pop(container, None)

    def logs(self, container: str, *, follow: bool = False, tail: int | None = None) -> Iterator[bytes]:
        return iter(self.served[container].output if container in self.served else [])

    def http(self, host: str, port: int) -> "FakeHttpClient":
        return FakeHttpClient(self, host, port)

    def running(self) -> list[str]:
        return [made.spec.image for made in self.served.values() if made.running]


class FakeHttpClient:
    """A connection to one container of a ServingEngine."""

    def __init__(self, engine: ServingEngine, host: str, port: int) -> None:
        self.engine, self.host, self.port = engine, host, port
        self.closed = False

    def request(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Response:
        running = [made for made in self.engine.served.values() if made.address == self.host and made.running]
        if not running:
            raise UnreachableError(self.host)
        running[0].requests.append((method, path, body or b"", headers, timeout))
        return self.engine.serve(running[0], method, path, body or b"", headers)

    def close(self) -> None:
        self.closed = True


@dataclass
class Later:
    """Work that was put off, until the test says so."""

    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = field(default_factory=list)

    def spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        self.work.append((work, arguments))

    def run(self) -> None:
        """Do all of it, and what it puts off in turn."""
        while self.work:
            work, arguments = self.work.pop(0)
            work(*arguments)


class Clock:
    """A clock that a closing event's wait moves; nothing sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.on_wait: Callable[[float], None] = lambda _: None

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float | None = None) -> bool:
        self.waits.append(seconds or 0.0)
        self.now += seconds or 0.0
        self.on_wait(self.now)
        return False

    def is_set(self) -> bool:
        return False


def serving_cloud(engine: ServingEngine, objects: FakeObjects | None = None) -> Cloud:
    return cloud(Path("/nowhere"), engine, objects)
