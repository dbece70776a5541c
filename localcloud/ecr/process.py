"""A real container registry (distribution's `registry`) behind a socket of its own: found, started, ended.

It listens on a Unix socket that only this user can open; what the world sees of it is registry_front.py.
"""

import fcntl
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
# The registry ends when standard input does, that is with localcloud, even one that was killed.
LIFELINE = '"$0" serve "$1" </dev/null & child=$!; cat >/dev/null; kill "$child"; wait "$child"; rm -rf "$2"'


def program(cache: Path = CACHE) -> str:
    """The registry's program: on PATH, or Debian's package unpacked (not installed, so no service starts).

    Raises LocalcloudError when there is none.
    """
    for name in ("docker-registry", "registry"):
        if found := shutil.which(name):
            return found
    kept = cache / "usr" / "bin" / "docker-registry"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.is_file():
                _unpack(cache)
    return str(kept)


def _unpack(cache: Path) -> None:
    fix = "install the package docker-registry, or put distribution's `registry` on PATH"
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise LocalcloudError(f"ECR needs a container registry, and none is here: {fix}")
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


@dataclass(kw_only=True)
class RegistryProcess:
    """One registry whose storage lies in `folder`. `find` gives its program."""

    folder: Path
    find: Callable[[], str] = program
    _shell: "subprocess.Popen[bytes] | None" = None
    _socket: Path = field(default_factory=Path)

    @property
    def storage(self) -> Path:
        """Where the registry keeps repositories and blobs."""
        return self.folder / "data" / "docker" / "registry" / "v2"

    def start(self) -> None:
        """Start it and wait until it answers. Raises LocalcloudError."""
        command = self.find()
        self.folder.mkdir(parents=True, exist_ok=True)
        # A socket's path has at most 107 characters, and a state folder may lie deep.
        short = Path(tempfile.mkdtemp(prefix="kennel-registry-"))
        self._socket = short / "socket"
        config = self.folder / "config.yml"
        config.write_text(CONFIG.format(data=self.folder / "data", socket=self._socket))
        with (self.folder / "log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["sh", "-c", LIFELINE, command, str(config), str(short)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._await()

    def connection(self) -> http.client.HTTPConnection:
        """A connection to it; the caller closes it."""
        return UnixConnection(self._socket)

    def stop(self) -> None:
        """End it; nothing happens where none was started."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait(timeout=30)
            self._shell = None

    def _await(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
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
        said = (self.folder / "log").read_text(errors="replace").strip()[-500:]
        raise LocalcloudError(f"the container registry does not start; it said: {said or 'nothing'}")
