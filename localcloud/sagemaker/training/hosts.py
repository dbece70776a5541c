"""The containers of one attempt: started on a network of their own, followed until they exit, removed with it."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localcloud.cloud import Cloud
from localcloud.cloudwatch.logs import LogForwarder
from localcloud.sagemaker.training.container import container_spec, docker_name, environment, gpu_count
from localcloud.sagemaker.training.request import Host, TrainingRequest

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_KILLED = 137
_PUMP_SECONDS = 10.0


class HostContainers:
    """Starts one container per host. `on_line` gets every log line; `on_exit` is called after every exit.

    One thread starts, signals and removes; `exits` may be read from any thread. Call `remove` however the attempt ends.
    `epoch_ms` (the job's creation time) makes the log streams' names unique.
    """

    def __init__(
        self, cloud: Cloud, request: TrainingRequest, arn: str, *, image: str, epoch_ms: int,
        on_line: Callable[[str], None], on_exit: Callable[[], None],
    ) -> None:  # fmt: skip
        self._cloud, self._request, self._arn, self._image, self._epoch_ms = cloud, request, arn, image, epoch_ms
        self._on_line, self._on_exit = on_line, on_exit
        self._network = cloud.engine.create_network(self._name("net"), internal=request.isolated)
        self._ids: dict[str, str] = {}
        self._pumps: list[LogForwarder] = []
        self._exits: dict[str, int] = {}
        self._lock = threading.Lock()

    def _name(self, part: str) -> str:
        return docker_name(self._cloud.instance, self._request.name, self._arn, part)

    def __len__(self) -> int:
        return len(self._ids)

    def start(self, roots: Sequence[Path]) -> None:
        """Start every host over its /opt/ml folder. Raises EngineError; `remove` then removes those that started."""
        for root, host in zip(roots, self._request.hosts, strict=True):
            container = self._run(root, host)
            self._ids[host.name] = container
            self._pumps.append(self._pump(host.name, container))
            threading.Thread(target=self._await, args=(host.name, container), daemon=True).start()

    def _run(self, root: Path, host: Host) -> str:
        cloud, request = self._cloud, self._request
        hosts, gpus = len(request.hosts), gpu_count(host.instance_type)
        spec = container_spec(
            request,
            host,
            root,
            image=self._image,
            name=self._name(host.name),
            network=self._network,
            environment=environment(
                request,
                arn=self._arn,
                region=cloud.region,
                container_url=cloud.container_url,
                credentials=cloud.credentials(request.role),
            ),
            # Several hosts share this machine: each gets its part, or they would start too many processes.
            cpus=max(1.0, (os.cpu_count() or 1) / hosts) if hosts > 1 else None,
            gpus=gpus if gpus and cloud.engine.has_gpus() else 0,
        )
        return cloud.engine.run(spec).id

    def _pump(self, host: str, container: str) -> LogForwarder:
        pump = LogForwarder(
            self._cloud.engine.logs(container, follow=True), self._cloud.logs_as(self._request.role), LOG_GROUP,
            f"{self._request.name}/{host}-{self._epoch_ms}", now=self._cloud.now, on_line=self._on_line,
        )  # fmt: skip
        pump.start()
        return pump

    def _await(self, host: str, container: str) -> None:
        code = None
        while code is None:
            code = self._cloud.engine.wait(container)
            if code is None:
                state = self._cloud.engine.inspect(container)
                code = None if state and state.running else (state.exit_code if state else _KILLED)
        with self._lock:
            self._exits[host] = code
        self._on_exit()

    def exits(self) -> Mapping[str, int]:
        """Return the exit codes so far, host by host, in the order in which the hosts exited."""
        with self._lock:
            return dict(self._exits)

    def out_of_memory(self, host: str) -> bool:
        """Tell whether the kernel killed this host's container for its memory."""
        state = self._cloud.engine.inspect(self._ids[host])
        return bool(state and state.oom_killed)

    def signal(self, name: str) -> None:
        """Send a signal to every container that still runs."""
        exits = self.exits()
        for host, container in self._ids.items():
            if host not in exits:
                self._cloud.engine.signal(container, name)

    def remove(self, *, drain: bool) -> None:
        """Remove the containers and their network. `drain`: first wait until the last log lines are written."""
        for pump in self._pumps:
            pump.join(_PUMP_SECONDS if drain else 0)
        for container in self._ids.values():
            self._cloud.engine.remove(container)
        self._cloud.engine.remove_network(self._network)
