"""The time that the function adds to a warm call, beside the endpoint's time and a plain boto3 handler.

    .venv/bin/python -m benchmarks.lambda_warm [--rounds N] [--calls N]

AWS's Runtime Interface Emulator runs the handler under the image's runtime client, as a process on this machine. A
handler that does nothing shows the cost of the emulator, the runtime client and the caller. The endpoint is a stub on
loopback that takes 11 ms, as long as the real endpoint takes for a picture on this machine; `endpoint` is the same
request sent directly from the caller over a persistent connection. The picture comes as base64 in the event, and by a
URL; the operator's settings must allow the URL's server on loopback, because the function refuses such addresses
otherwise. CPU counts only the handler's process. Every answer is checked. The handlers are measured in turns.

Writes results/lambda_warm.json, .runs.json and .svg.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.functions.candidates import Candidate, candidates, client_version, variables
from benchmarks.functions.fakes import ANSWER, PICTURE, PREDICTIONS, endpoint, serving
from benchmarks.harness import Row, alone, at_most, column, interleaved, machine, tree, write
from benchmarks.harness.rounds import Measured
from localcloud.awslambda import emulator

SECONDS = 0.011  # the endpoint's time for a picture: ResNet-50 in OpenVINO int8 on this machine
CALLS = 100
SHARE = 0.25  # the handler may add at most this share of the endpoint's time
PATIENCE = 30.0


def nanoseconds(pid: int) -> int:
    """CPU time of a process's living threads so far. /proc/PID/stat would count in hundredths of a second only."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="utf-8").split()[0]) for task in tasks)


@contextlib.contextmanager
def emulated(candidate: Candidate, url: str) -> Iterator[tuple[int, int]]:
    """Starts and warms up a function under the emulator; yields the emulator's port and the handler's process id."""
    program = emulator.fetch(emulator.ARCHITECTURES[emulator.host_architecture()])
    port, api = free_port(), free_port()
    places = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api}"]
    allowed = {"KENNEL_ALLOW_HTTP": "1", "KENNEL_ALLOW_HOSTS": url.removeprefix("http://")}
    process = subprocess.Popen(
        [str(program), "--log-level", "error", *places, *candidate.command],
        env=variables(candidate, url, **allowed), cwd=candidate.code,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _listening(port)
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        call(caller, emulator.PATH, b'{"image": "%s"}' % base64.b64encode(PICTURE))
        caller.close()
        [handler] = tree(process.pid)[1:]
        yield port, handler
    finally:
        for pid in reversed(tree(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def call(caller: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
    caller.request("POST", path, body)
    response = caller.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path} answered {response.status}: {answer[:300]!r}")
    return answer


def milliseconds(calls: int, ask: Callable[[], bytes], check: Callable[[bytes], bool]) -> float:
    """The median wall time of a call. Raises RuntimeError when an answer is wrong."""
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - began)
        if not check(answer):
            raise RuntimeError(f"a wrong answer: {answer[:300]!r}")
    return statistics.median(seconds) * 1000


def invoked(candidate: Candidate, url: str, calls: int) -> Measured:
    """Wall and CPU milliseconds of a call, for a picture in the event and for one by URL."""
    events = {"image": {"image": base64.b64encode(PICTURE).decode()}, "url": {"url": f"{url}/dog.jpg"}}
    expected = [] if candidate.name == "nothing" else PREDICTIONS
    costs = {}
    with emulated(candidate, url) as (port, handler):
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        for name, event in events.items():
            body = json.dumps(event).encode()
            call(caller, emulator.PATH, body)
            before = nanoseconds(handler)
            ask = partial(call, caller, emulator.PATH, body)
            costs[f"{name} wall"] = milliseconds(calls, ask, lambda answer: _predictions(answer) == expected)
            costs[f"{name} cpu"] = (nanoseconds(handler) - before) / calls / 1e6
        caller.close()
    return costs


def _predictions(answer: bytes) -> object:
    return json.loads(answer).get("predictions")


def endpoint_time(port: int, calls: int) -> Measured:
    """Wall milliseconds of a request sent directly to the endpoint."""
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        wall = milliseconds(calls, lambda: call(caller, "/endpoints/dogs/invocations", PICTURE), ANSWER.__eq__)
    finally:
        caller.close()
    return {"wall": wall}


def measure(rounds: int, calls: int) -> dict[str, list[Measured]]:
    with serving(endpoint(SECONDS)) as port:
        url = f"http://127.0.0.1:{port}"
        parts: dict[str, Callable[[], Measured]] = {
            each.name: partial(invoked, each, url, calls) for each in candidates()
        }
        return interleaved({**parts, "endpoint": lambda: endpoint_time(port, calls)}, rounds)


def rows(runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    table = []
    own = column(runs["endpoint"], "wall")
    for source, what in (("image", "the picture in the event"), ("url", "the picture by URL")):
        cpu = {name: column(runs[name], f"{source} cpu") for name in ("ours", "boto3", "nothing")}
        wall = {name: column(runs[name], f"{source} wall") for name in ("ours", "boto3", "nothing")}
        added = {
            name: [mine - nothing - its for mine, nothing, its in zip(wall[name], wall["nothing"], own, strict=True)]
            for name in ("ours", "boto3")
        }
        peer = "plain boto3 handler"
        table += [
            at_most(f"warm, {what}: handler's CPU ms a call", cpu["ours"], cpu["boto3"], peer, target=1.0),
            at_most(f"warm, {what}: wall ms a call, all in all", wall["ours"], wall["boto3"], peer, target=1.0),
            at_most(
                f"warm, {what}: wall ms that the handler adds", added["ours"], own, "the endpoint's own time",
                target=SHARE, note=f"the plain boto3 handler adds {statistics.median(added['boto3']):.2f} ms",
            ),
            alone(f"warm, {what}: emulator and runtime client alone, wall ms", wall["nothing"]),
        ]  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=CALLS)
    options = parser.parse_args()
    runs = measure(options.rounds, options.calls)
    versions = {"awslambdaric": client_version(), "boto3": version("boto3"), "emulator of": emulator.PACKAGE}
    write("lambda_warm", rows(runs), runs, machine(versions), title="A warm call of the function")


if __name__ == "__main__":
    main()
