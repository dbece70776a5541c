"""The idle check of the notebook as its instance runs it: a program that asks a Jupyter over HTTP."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.notebook.idle import check
from deploy.notebook.lifecycle import on_start

NOW = 1_795_240_800.0  # 2026-11-21T06:00:00Z
METADATA = {"ResourceArn": "arn:aws:sagemaker:us-east-1:1:notebook-instance/n", "ResourceName": "n"}


class Jupyter(BaseHTTPRequestHandler):
    """One kernel that is idle since 05:00."""

    def do_GET(self) -> None:
        kernel = {"execution_state": "idle", "last_activity": "2026-11-21T05:00:00.000000Z"}
        body = json.dumps([kernel] if self.path == "/api/kernels" else []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def base() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Jupyter)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_idle_instance_is_stopped_and_a_used_one_is_not(base: str, tmp_path: Path) -> None:
    metadata = tmp_path / "resource-metadata.json"
    metadata.write_text(json.dumps(METADATA))
    stopped: list[list[str]] = []
    output: list[str] = []

    def stop(command: list[str]) -> int:
        stopped.append(command)
        return 0

    for minutes in (90, 60):
        assert check(minutes, up=9000, now=NOW, base=base, metadata=metadata, run=stop, say=output.append) == 0
    assert output == ["idle for 60 of 90 minutes\n", "idle for 60 of 60 minutes\n"]
    assert len(stopped) == 1


def test_where_jupyter_does_not_answer_nothing_is_stopped(tmp_path: Path) -> None:
    def stop(_: list[str]) -> int:
        raise RuntimeError("stopped")

    output: list[str] = []
    assert (
        check(1, up=9000, now=NOW, base="http://127.0.0.1:9/api/", metadata=tmp_path, run=stop, say=output.append) == 1
    )
    assert output[0].startswith("Jupyter does not answer: ")


def test_the_start_script_is_one_that_a_shell_reads(tmp_path: Path) -> None:
    script = tmp_path / "on_start.sh"
    script.write_text(on_start(30))
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0
