"""Starts the real server as a process, on a free port."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, kw_only=True)
class Running:
    process: subprocess.Popen[str]
    port: int
    log: IO[str]

    def output(self) -> str:
        """What the server wrote to stdout and stderr."""
        self.log.seek(0)
        return self.log.read()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_ready(self, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            try:
                if self.request("GET", "/ping")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("the server did not become ready")


@contextmanager
def server(
    model: Path, environ: Mapping[str, str] | None = None, *, module: Sequence[str] = ("serve", "serve")
) -> Iterator[Running]:
    """A server of `model`, killed at the end. `module` is what `python -m` runs, with its arguments."""
    port = free_port()
    own = {"KENNEL_MODEL_DIR": str(model), "SAGEMAKER_BIND_TO_PORT": str(port), "PYTHONPATH": str(ROOT)}
    # The log is a file, because a pipe that nobody reads would block the server once it is full.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**os.environ, **own, **(environ or {})},
            cwd=model,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Running(process=process, port=port, log=log)
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
