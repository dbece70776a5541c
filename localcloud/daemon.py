"""localcloud in the background: start, status, stop. `./inv up` and `./inv down` call these functions."""

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

_START_SECONDS = 180.0  # with --iam the first start installs the policy simulator
_STOP_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Status:
    """A localcloud's status. `info`: its answer to a health request, else what it last wrote into its state folder."""

    running: bool
    healthy: bool
    info: dict[str, Any]

    @property
    def endpoint_url(self) -> str:
        return str(self.info.get("endpoint_url", ""))


def status(state_dir: Path) -> Status:
    """Whether a localcloud runs from this folder, and whether it answers."""
    state = StateDir(state_dir)
    info, running = state.info(), state.is_running()
    health = _health(info.get("endpoint_url", ""), state.instance) if running else None
    return Status(running=running, healthy=health is not None, info=health or info)


def start_background(*, port: int, state_dir: Path, region: str = "us-east-1", iam: bool = False) -> Status:
    """Start a localcloud unless one runs from this folder; return when it is healthy. `iam`: it enforces IAM.

    Raises LocalcloudError with the end of the server's log when it does not start, or when the running one has another
    port or region, or does not enforce IAM.
    """
    now = status(state_dir)
    if now.healthy:
        if port not in (0, now.info["port"]) or region != now.info["region"]:
            raise LocalcloudError(
                f"localcloud already runs at {now.endpoint_url} as {now.info['region']}; "
                "to change its port or region, stop it first: ./inv down"
            )
        if iam and not now.info.get("iam"):
            raise LocalcloudError(
                f"localcloud already runs at {now.endpoint_url} and does not enforce IAM; stop it first: ./inv down"
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
        *(["--iam"] if iam else []),
    ]
    with state.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    return _await_health(state, process)


def _await_health(state: StateDir, process: "subprocess.Popen[bytes]") -> Status:
    deadline = time.monotonic() + _START_SECONDS
    try:
        # A concurrent start may have locked the folder first: then wait for its server.
        while time.monotonic() < deadline and (process.poll() is None or state.is_running()):
            now = status(state.path)
            if now.healthy:
                if now.info["pid"] != process.pid:
                    _end(process)  # else it would take the folder as soon as the other server ends
                process.returncode = 0  # suppresses Popen's warning: the server is meant to outlive this process
                return now
            time.sleep(0.1)
    except BaseException:  # also Ctrl-C: leave no server behind
        _end(process)
        raise
    _end(process)
    output = state.log.read_text(errors="replace").strip()[-2000:]
    raise LocalcloudError(f"localcloud did not start; the end of its log {state.log}: {output or 'empty'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop(state_dir: Path) -> bool:
    """Stop this folder's localcloud if one runs, and remove all containers and networks of its instance.

    Also cleans up after a crash. Returns whether a server was running. Raises LocalcloudError.
    """
    state = StateDir(state_dir)
    was_running = state.is_running()
    if was_running:
        _terminate(state)
    DockerEngine(state.instance, connect()).cleanup()
    if state.path.exists():
        state.clear_work()
    return was_running


def _terminate(state: StateDir) -> None:
    """Send SIGTERM, after a minute SIGKILL, until the server releases the folder. Raises LocalcloudError."""
    pid = 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = int(state.info().get("pid", 0))
        if pid and process_alive(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        while state.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
        if not state.is_running():
            return
    raise LocalcloudError(f"process {pid} of localcloud does not end, not even after SIGKILL; see its log {state.log}")


def _health(endpoint_url: str, instance: str) -> dict[str, Any] | None:
    if not endpoint_url.startswith("http://"):
        return None
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_localcloud/health", timeout=5) as response:  # noqa: S310
            info: dict[str, Any] = json.load(response)
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return info if info.get("instance") == instance else None
