"""A real container registry (distribution's `registry`) as a process: locates the program, starts and stops it.

The registry listens on a Unix socket that only this user can open. Clients reach it through proxy.py.
"""

import fcntl
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalcloudError

CACHE = Path(__file__).resolve().parents[2] / ".kennel" / "cache" / "docker-registry"
START_SECONDS = 20.0
CONFIG = """
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{net: unix, addr: {socket}, relativeurls: true}}
"""
# The shell stops the registry when its standard input closes: when localcloud ends, even when it is killed.
LIFELINE = '"$0" serve "$1" </dev/null & child=$!; cat >/dev/null; kill "$child"; wait "$child"; rm -rf "$2"'


def program(cache: Path = CACHE) -> str:
    """The path of the registry's program: on PATH, or from Debian's package.

    Unpacks the package instead of installing it, so that no system service starts. Raises LocalcloudError.
    """
    for name in ("docker-registry", "registry"):
        if path := shutil.which(name):
            return path
    unpacked = cache / "usr" / "bin" / "docker-registry"
    if not unpacked.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not unpacked.is_file():
                _unpack(cache)
    return str(unpacked)


def _unpack(cache: Path) -> None:
    fix = "install the package docker-registry, or put distribution's `registry` on PATH"
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise LocalcloudError(f"ECR needs a container registry, and this machine has none: {fix}")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        for command in (["apt-get", "download", "-qq", "docker-registry"], ["sh", "-c", "dpkg -x ./*.deb unpacked"]):
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            if done.returncode:
                raise LocalcloudError(f"cannot fetch Debian's docker-registry ({done.stderr.strip()[-300:]}): {fix}")
        shutil.copytree(Path(scratch) / "unpacked", cache, dirs_exist_ok=True)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 300.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, kw_only=True)
class _Running:
    """A started registry: the shell that runs it, and its socket."""

    shell: "subprocess.Popen[bytes]"
    socket: Path


class RegistryProcess:
    """One registry whose storage is in `folder`. `locate` returns the path of the registry's program."""

    def __init__(self, *, folder: Path, locate: Callable[[], str] = program) -> None:
        self._folder, self._locate = folder, locate
        self._running: _Running | None = None

    @property
    def storage(self) -> Path:
        """The folder of the registry's repositories and blobs."""
        return self._folder / "data" / "docker" / "registry" / "v2"

    @property
    def socket(self) -> Path:
        """The socket that the registry listens on. Raises LocalcloudError before `start`."""
        if self._running is None:
            raise LocalcloudError("the container registry is not running")
        return self._running.socket

    def start(self) -> None:
        """Start the registry and wait until it answers. Raises LocalcloudError."""
        command = self._locate()
        self._folder.mkdir(parents=True, exist_ok=True)
        # A socket's path has at most 107 characters, and the path of a state folder may be longer.
        short = Path(tempfile.mkdtemp(prefix="kennel-registry-"))
        config = self._folder / "config.yml"
        config.write_text(CONFIG.format(data=self._folder / "data", socket=short / "socket"))
        with (self._folder / "log").open("ab") as log:
            shell = subprocess.Popen(
                ["sh", "-c", LIFELINE, command, str(config), str(short)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._running = _Running(shell=shell, socket=short / "socket")
        self._await_answer()

    def connection(self) -> http.client.HTTPConnection:
        """A connection to the registry. The caller closes it."""
        return UnixConnection(self.socket)

    def stop(self) -> None:
        """Stop the registry. Does nothing when it does not run."""
        running, self._running = self._running, None
        if running is not None and running.shell.stdin is not None:
            running.shell.stdin.close()
            running.shell.wait(timeout=30)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                connection = self.connection()
                connection.request("GET", "/v2/")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.02)
            finally:
                connection.close()
        self.stop()
        output = (self._folder / "log").read_text(errors="replace").strip()[-500:]
        raise LocalcloudError(f"the container registry does not start; its log: {output or 'empty'}")
