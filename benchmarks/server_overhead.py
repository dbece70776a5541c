"""CPU time that our server adds to a picture, measured with a network that costs almost nothing.

    .venv/bin/python -m benchmarks.server_overhead [--rounds N] [--requests N]

Our server, started as in the image, gets small JPEGs over persistent connections and over new ones. It is compared with
the smallest server that does the same work under the same worker: it reads the body, lets a thread decode it and run
the same network, and answers two bytes. Requests go over loopback from threads of the benchmark. CPU is that of the
whole process tree. serve_overhead_peers measures other servers.

Writes results/server_overhead.json, .runs.json and .svg.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import at_most, column, cpu_seconds, interleaved, machine, write
from benchmarks.harness.environments import ROOT
from benchmarks.harness.rounds import Measured
from benchmarks.serving.install import our_python
from benchmarks.serving.server import free_port

PATIENCE = 30.0
MODEL = "import sys; from pathlib import Path; from tests.unit.serve.artifacts import write_artifact as write; "
MODEL += "write(Path(sys.argv[1]))"
PICTURE = "import sys; from tests.unit.serve.pictures import encoded; sys.stdout.buffer.write(encoded('red'))"


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "KENNEL_MAX_WAIT": "20", **more}


@contextlib.contextmanager
def started(python: Path, module: Sequence[str], model: Path) -> Iterator[tuple[int, int]]:
    """Starts a server and waits until it answers; yields its process id and port."""
    port = free_port()
    process = subprocess.Popen(
        [str(python), "-m", *module],
        env=environment(KENNEL_MODEL_DIR=str(model), SAGEMAKER_BIND_TO_PORT=str(port)),
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not ready(port):
            time.sleep(0.02)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def ready(port: int) -> bool:
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        caller.request("GET", "/ping")
        return caller.getresponse().status == 200
    except OSError:
        return False
    finally:
        caller.close()


def ask(port: int, picture: bytes, requests: int, *, keep: bool) -> None:
    """Sends `requests` requests, one after the other. Raises RuntimeError for a status other than 200."""
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Content-Type": "image/jpeg"} | ({} if keep else {"Connection": "close"})
    for _ in range(requests):
        caller.request("POST", "/invocations", picture, headers)
        answer = caller.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}: {body[:300]!r}")
    caller.close()


def together(calls: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def served(python: Path, module: Sequence[str], model: Path, picture: bytes, requests: int) -> Measured:
    """Microseconds of CPU a request, by the number of callers and whether their connections are persistent."""
    costs = {}
    with started(python, module, model) as (pid, port):
        ask(port, picture, 200, keep=True)
        for callers, keep in ((1, True), (4, True), (4, False)):
            before = cpu_seconds(pid)
            together([partial(ask, port, picture, requests // callers, keep=keep)] * callers)
            took = (cpu_seconds(pid) - before) / (requests // callers * callers)
            costs[f"{callers} {'kept' if keep else 'new'}"] = took * 1e6
    return costs


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.server_overhead", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000, help="of each kind, a round")
    options = parser.parse_args(arguments)
    python = our_python()
    with tempfile.TemporaryDirectory(prefix="kennel-overhead-") as name:
        subprocess.run([str(python), "-c", MODEL, name], check=True, env=environment())
        picture = subprocess.run(
            [str(python), "-c", PICTURE], capture_output=True, check=True, env=environment()
        ).stdout
        ours, least = ("serve", "serve"), ("tests.functional.serve.sleeping", "floor")
        parts: dict[str, Callable[[], Measured]] = {
            "ours": partial(served, python, ours, Path(name), picture, options.requests),
            "least server": partial(served, python, least, Path(name), picture, options.requests),
        }
        runs = interleaved(parts, options.rounds)
    rows = [
        at_most(
            f"µs of CPU a request, {kind.replace(' ', ' caller(s), ')} connections",
            column(runs["ours"], kind),
            column(runs["least server"], kind),
            "least server that does the same work",
        )
        for kind in runs["ours"][0]
    ]
    write("server_overhead", rows, runs, machine(), title="What the server adds to a picture")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
