"""`./inv engine`: installs and starts Docker where no engine answers. It looks, plans, then acts.

A second dockerd on a host takes the first one's network bridge away, so it starts one only where no dockerd runs.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.images import engine
from deploy.images.engine import EngineError

PID_FILE = Path("/var/run/docker.pid")
PROC = Path("/proc")
PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "iptables", "ca-certificates")
Act = Literal["install", "forget stale pid file", "start", "wait"]


@dataclass(frozen=True, kw_only=True)
class Host:
    """The facts about this machine that a plan follows from. `version` is the engine's, empty when none answers."""

    version: str = ""
    remote: str = ""
    can_build: bool = True
    apt: bool = False
    root: bool = False
    daemon_installed: bool = False
    daemon_pid: int | None = None
    stale_pid: int | None = None


def plan(host: Host) -> tuple[Act, ...]:
    """The acts that are missing for an engine that answers and a client that builds. Raises EngineError where a person
    must act."""
    if host.version and host.can_build:
        return ()
    if host.remote and not host.version:
        raise EngineError(f"DOCKER_HOST={host.remote} does not answer: start that engine, or unset DOCKER_HOST")
    missing = not host.daemon_installed or not host.can_build
    if not host.version and host.daemon_pid is None and not host.root and host.daemon_installed:
        raise EngineError("Docker is installed but not running: start it (sudo systemctl start docker), then try again")
    if missing and not (host.apt and host.root):
        fault = "the docker client cannot build with BuildKit" if host.version else "no Docker engine answers"
        fix = "run `./inv engine` as root" if host.apt else "install Docker with its buildx plugin and start it"
        raise EngineError(f"{fault}: {fix}, then try again")
    acts: list[Act] = ["install"] if not host.can_build or (missing and host.daemon_pid is None) else []
    if host.version:
        return tuple(acts)
    if host.daemon_pid is not None:
        return (*acts, "wait")
    if host.stale_pid is not None:
        acts.append("forget stale pid file")
    return (*acts, "start")


def look(
    environment: dict[str, str], *, run: engine.Run = engine.execute, proc: Path = PROC, pid_file: Path = PID_FILE
) -> Host:
    """Collects the facts; changes nothing."""
    path = environment.get("PATH", os.defpath)
    version = engine.version(engine.clients(path), run)
    pid = _read_pid(pid_file)
    running = daemon(proc)
    return Host(
        version=version,
        remote=environment.get("DOCKER_HOST", ""),
        can_build=not version or _can_build(path, run),
        apt=bool(shutil.which("apt-get", path=path)),
        root=os.geteuid() == 0,
        daemon_installed=bool(shutil.which("dockerd", path=path)),
        daemon_pid=running,
        stale_pid=pid if pid is not None and running is None else None,
    )


def daemon(proc: Path = PROC) -> int | None:
    """The process id of a running dockerd, whether it answers or not; None without one.

    A killed dockerd stays in /proc as a zombie until its parent reaps it, which may be never, so zombies do not count.
    """
    for stat in proc.glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text(encoding="utf-8", errors="replace").partition(" (")[2].rpartition(") ")
        except OSError:
            continue  # the process ended meanwhile
        if name == "dockerd" and rest[:1] not in ("Z", "X"):
            return int(stat.parent.name)
    return None


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None


def _can_build(path: str, run: engine.Run) -> bool:
    try:
        engine.builder(engine.clients(path), run)
    except EngineError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Acts:
    """Executes a plan's acts on this machine."""

    log: Path
    say: Callable[[str], None]
    run: engine.Run = engine.execute
    dockerd: str = "dockerd"
    pid_file: Path = PID_FILE
    proc: Path = PROC
    systemd: Path = Path("/run/systemd/system")

    def do(self, act: Act) -> None:
        """Runs one act. Raises EngineError."""
        if act == "install":
            install(PACKAGES, say=self.say, run=self.run)
        elif act == "forget stale pid file":
            self.say(f"removing {self.pid_file}: its daemon no longer runs")
            self.pid_file.unlink(missing_ok=True)
        elif act == "start":
            self._start()
        else:
            self._wait(None)

    def _start(self) -> None:
        if self._version():
            return  # the package's service started it
        if self.systemd.is_dir():
            self.say("starting the docker service")
            status, output = self.run(["systemctl", "start", "docker"])
            if status:
                raise EngineError(f"systemctl start docker failed: {output.strip()[-500:]}")
            self._wait(None)
            return
        if daemon(self.proc) is not None:
            self._wait(None)
            return
        self.say(f"starting dockerd; its log is {self.log}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A session of its own lets dockerd outlive this command and its terminal.
            streams = [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
            silence = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
            command = [self.dockerd]
            pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[silence, *streams], setsid=True)
        self._wait(pid)

    def _version(self) -> str:
        return engine.version(engine.clients(os.environ.get("PATH", os.defpath)) or ["docker"], self.run)

    def _wait(self, pid: int | None, seconds: float = 60) -> None:
        """Waits until the engine answers. Raises EngineError after `seconds`, or when `pid`, our dockerd, has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if version := self._version():
                self.say(f"Docker engine {version} answers")
                return
            if pid is not None and os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.3)
        last = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
        raise EngineError(f"the Docker engine does not answer; {self.log} ends with:\n{last}")


def install(packages: Sequence[str], *, say: Callable[[str], None], run: engine.Run = engine.execute) -> None:
    """Installs those of `packages` that the distribution has. Raises EngineError."""
    run(["apt-get", "update", "--quiet=2"], timeout=300)
    known = [name for name in packages if run(["apt-cache", "show", "--no-all-versions", name])[0] == 0]
    say(f"installing {' '.join(known or packages)} with apt-get")
    arguments = ["--yes", "--quiet=2", "--no-install-recommends", *(known or packages)]
    status, output = run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", *arguments], timeout=900)
    if status:
        raise EngineError(f"apt-get install {' '.join(packages)} failed:\n{output[-1500:]}")
