"""The benchmarks' servers: real processes on loopback, all of which must end."""

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.harness import tree
from benchmarks.serving.peer import Peer, Place
from benchmarks.serving.server import Server, ServerError, running

SERVER = """
import http.server, os, pathlib, subprocess, sys
# A daemon like Ray's: it leaves its session, and its parent exits at once.
daemon = "import os, time; os.setsid(); child = os.fork(); "
daemon += "child and (print(child, flush=True) or os._exit(0)); time.sleep(60)"  # the parent writes the pid, then exits
subprocess.run([sys.executable, "-c", daemon], stdout=open("daemon.pid", "w"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if body == b"busy" else 200); self.end_headers()
        self.wfile.write(b"[0.25, 0.75]" if body == b"JPEG" else b"no")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def command(place: Place) -> list[str]:
    return [sys.executable, "server.py", str(place.port)]


PEER = Peer(
    name="small",
    requirements=(),
    command=command,
    files=lambda _: {"server.py": SERVER},
    read=json.loads,
    ready="/",
    path=lambda _: "/classify",
    tuning="none",
)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def start(tmp_path: Path, servers: list[Server]) -> int:
    """Runs the server and sends it requests; returns the daemon's process id."""
    with running(PEER, "null", python=Path(sys.executable), model=tmp_path, cpus=1) as server:
        servers.append(server)
        daemon = int((server.place.folder / "daemon.pid").read_text(encoding="utf-8"))
        assert daemon in tree(server.pid)
        assert server.ask(b"JPEG") == [0.25, 0.75]
        assert 0 < server.start_seconds < 20
        with pytest.raises(ServerError, match="503"):
            server.ask(b"busy")
        with pytest.raises(ServerError, match="cannot read"):
            server.ask(b"else")
    return daemon


def test_a_server_answers_and_ends_with_all_processes_that_it_started(tmp_path: Path) -> None:
    servers: list[Server] = []

    daemon = start(tmp_path, servers)

    assert not alive(servers[0].pid)
    assert not alive(daemon)
    assert not servers[0].place.folder.exists()


def test_a_server_ends_when_the_benchmark_is_interrupted(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupted() -> None:
        with running(PEER, "null", python=Path(sys.executable), model=tmp_path, cpus=1) as server:
            pids.extend(tree(server.pid))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert len(pids) >= 2
    assert not any(map(alive, pids))


def test_the_error_for_a_server_that_exits_at_its_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Peer(
        name="broken", requirements=(), command=lambda _: [sys.executable, "-c", "raise SystemExit('no model')"],
        read=json.loads, ready="/", path=lambda _: "/", tuning="none",
    )  # fmt: skip

    with (
        pytest.raises(ServerError, match="no model"),
        running(broken, "null", python=Path(sys.executable), model=tmp_path, cpus=1),
    ):
        pass
