"""localcloud in the background: start, ask, stop. What `./inv up` and `./inv down` call."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.containers.engine import DockerEngine, connect
from localcloud.errors import LocalcloudError
from localcloud.state import StateDir, process_alive

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Status:
    """A localcloud as seen from outside. `info` is its health answer (or what it last wrote of itself)."""

    running: bool
    healthy: bool
    info: dict[str, Any]

    @property
    def endpoint_url(self) -> str:
        return str(self.info.get("endpoint_url", ""))


def status(state_dir: Path) -> Status:
    """Whether a localcloud lives in this folder, and answers."""
    state = StateDir(state_dir)
    info, running = state.info(), state.held()
    health = _health(info.get("endpoint_url", ""), state.instance) if running else None
    return Status(running=running, healthy=health is not None, info=health or info)


def start_background(*, port: int, state_dir: Path, region: str = "us-east-1") -> Status:
    """Start a localcloud unless this folder's already answers; return when it is healthy.

    Raises LocalcloudError with the server's own last words when it does not come up.
    """
    now = status(state_dir)
    if now.healthy:
        if port not in (0, now.info["port"]) or region != now.info["region"]:
            raise LocalcloudError(
                f"localcloud already runs at {now.endpoint_url} as {now.info['region']}; "
                "take that one down first (./inv down) to change its port or region"
            )
        return now
    state = StateDir(state_dir)
    state.path.mkdir(parents=True, exist_ok=True)
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    command = [
        sys.executable,
        "-m",
        "localcloud",
        "--port",
        str(port),
        "--state-dir",
        str(state.path),
        "--region",
        region,
    ]
    with state.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    return _await_health(state, process)


def _await_health(state: StateDir, process: "subprocess.Popen[bytes]") -> Status:
    deadline = time.monotonic() + _START_SECONDS
    try:
        # Another `up` at the same time may have won the folder: then its server is awaited.
        while time.monotonic() < deadline and (process.poll() is None or state.held()):
            now = status(state.path)
            if now.healthy:
                if now.info["pid"] != process.pid:
                    _end(process)  # or it would take the folder as soon as the winner leaves it
                process.returncode = 0  # it outlives us on purpose: no warning about a child still running
                return now
            time.sleep(0.1)
    except BaseException:  # Ctrl-C while starting: nothing stays behind
        _end(process)
        raise
    _end(process)
    said = state.log.read_text(errors="replace").strip()[-2000:]
    raise LocalcloudError(f"localcloud did not come up; it said: {said or 'nothing'} (log: {state.log})")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop(state_dir: Path) -> bool:
    """End this folder's localcloud if one runs, and remove every container and network that is or was its.

    True when a server was running. Works after a crash too.
    """
    state = StateDir(state_dir)
    was_running = state.held()
    if was_running:
        _terminate(state)
    DockerEngine(state.instance, connect()).cleanup()
    if state.path.exists():
        state.clear_work()
    return was_running


def _terminate(state: StateDir) -> None:
    """SIGTERM, a minute, SIGKILL, until the folder is free."""
    pid = 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = int(state.info().get("pid", 0))
        if pid and process_alive(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        while state.held() and time.monotonic() < deadline:
            time.sleep(0.1)
        if not state.held():
            return
    raise LocalcloudError(f"process {pid} of localcloud does not end; look at it and at {state.log}")


def _health(endpoint_url: str, instance: str) -> dict[str, Any] | None:
    if not endpoint_url.startswith("http://"):
        return None
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_localcloud/health", timeout=5) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return found if found.get("instance") == instance else None
