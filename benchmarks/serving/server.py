"""Runs a server (a peer's or ours) as a process tree: starts it, waits until it is ready, and always ends all of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from benchmarks.harness import tree
from benchmarks.serving.peer import NetworkKind, Peer, Place, common_environment

POLL_SECONDS = 0.005
END_SECONDS = 10.0
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


class ServerError(RuntimeError):
    """A server did not start, or exited by itself; the message holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server. `start_seconds` is the time from exec to the first 200 of its `ready` path."""

    peer: Peer
    place: Place
    pid: int
    start_seconds: float
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.place.port}"

    @property
    def inference(self) -> str:
        return self.url + self.peer.path(self.place)

    def ask(self, picture: bytes) -> list[float]:
        """The probabilities for one picture. Raises ServerError for any other answer."""
        headers = {"Content-Type": self.peer.content_type, **self.peer.headers}
        request = urllib.request.Request(self.inference, self.peer.body(picture), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            raise ServerError(f"{self.peer.name}: {error.code} {error.read()[:500]!r}{tail(self.log)}") from error
        except OSError as error:
            raise ServerError(f"{self.peer.name}: {error}{tail(self.log)}") from error
        try:
            return self.peer.read(body)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ServerError(f"{self.peer.name}: cannot read the answer {body[:300]!r}: {error}") from error


@contextlib.contextmanager
def running(peer: Peer, kind: NetworkKind, *, python: Path, model: Path, cpus: int) -> Iterator[Server]:
    """Starts the server in a new folder on a free port, and finally ends its whole process tree.

    Raises ServerError when it is not ready within peer.ready_seconds.
    """
    with tempfile.TemporaryDirectory(prefix="kennel-bench-") as name:
        place = Place(kind=kind, python=python, folder=Path(name), port=free_port(), model=model.resolve(), cpus=cpus)
        for file, text in peer.files(place).items():
            (place.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (place.folder / file).write_text(text, encoding="utf-8")
        log = place.folder / "server.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                peer.command(place), cwd=place.folder, env=environ(peer, place), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_keep_orphans,  # noqa: PLW1509  no other thread runs here
            )  # fmt: skip
        try:
            seconds = _wait_ready(peer, place, process, log)
            yield Server(peer=peer, place=place, pid=process.pid, start_seconds=seconds, log=log)
        finally:
            end(process)


def environ(peer: Peer, place: Place) -> dict[str, str]:
    """A bare environment with the peer's variables, and none of the caller's (such as thread counts)."""
    home = str(place.folder)
    path = f"{place.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    bare = {"PATH": path, "HOME": home, "LANG": "C.UTF-8", "VIRTUAL_ENV": str(place.python.parents[1])}
    return {**bare, **common_environment(place), **peer.environment(place)}


def free_port() -> int:
    """A port that is free now, and below those of client connections. multi-model-server and TorchServe refuse ports
    above 49151."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return int(probe.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGTERM to the process, then kills what remains of its tree, including orphans (see _keep_orphans)."""
    known = set(tree(process.pid))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        known |= set(tree(process.pid))
        time.sleep(0.05)
    for pid in known:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    while any(map(_runs, known)) and time.monotonic() < deadline + END_SECONDS:
        time.sleep(0.005)


def end_on_signals() -> None:
    """Turns SIGTERM and SIGHUP into an exception, like Ctrl-C, so that servers end with the benchmark."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def tail(log: Path, lines: int = 12) -> str:
    """The end of a server's log, for messages."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return "".join(f"\n    | {line[:300]}" for line in text.splitlines()[-lines:])


def _runs(pid: int) -> bool:
    """Whether the process runs. A zombie, whose parent has not yet waited for it, does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def _keep_orphans() -> None:
    """Called before exec: orphaned descendants become the server's children, so that CPU and memory include them."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_ready(peer: Peer, place: Place, process: subprocess.Popen[bytes], log: Path) -> float:
    began = time.monotonic()
    url = f"http://127.0.0.1:{place.port}{peer.ready}"
    while time.monotonic() < began + peer.ready_seconds:
        if process.poll() is not None:
            raise ServerError(f"{peer.name} exited with {process.returncode}{tail(log)}")
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return time.monotonic() - began
        time.sleep(POLL_SECONDS)
    raise ServerError(f"{peer.name} was not ready within {peer.ready_seconds:g} s{tail(log)}")
