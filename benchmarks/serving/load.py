"""Puts load on a server with k6: a closed loop (each connection sends again once answered) or arrivals at a rate.

Arrivals (the open model) do not wait for answers, so the queue of a slow server grows, as in production. k6 shares the
cores with the server, for every server alike; its CPU seconds are measured too.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import cpu_seconds
from benchmarks.serving.server import Server

SCRIPT = Path(__file__).with_name("load.js")
BOUND_MS = 500.0  # for the 99th percentile
TIMEOUT_SECONDS = 30
MOST_CONNECTIONS = 400  # for arrivals: each takes a megabyte of k6's memory


class LoadError(RuntimeError):
    """k6 itself failed; the message is k6's."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """The result of one phase.

    seconds: its length. accepted, refused, failed: requests. late: accepted requests answered after the bound. hinted:
    refusals with Retry-After. p50 to refused_p99: percentiles of the latency, in milliseconds.
    """

    seconds: float
    accepted: int
    refused: int
    failed: int
    late: int
    hinted: int
    p50: float
    p90: float
    p99: float
    refused_p99: float

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.accepted + self.refused + self.failed

    def within(self, bound: float = BOUND_MS) -> bool:
        """Whether all were accepted and the 99th percentile is at most `bound` milliseconds."""
        return self.accepted > 0 and self.refused + self.failed == 0 and self.p99 <= bound


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A run of k6: its phases by name, and the CPU seconds of the server's process tree and of k6."""

    phases: Mapping[str, Phase]
    server_cpu: float
    driver_cpu: float

    @property
    def main(self) -> Phase:
        return self.phases["main"]

    @property
    def cpu_per_request(self) -> float:
        """The server's CPU seconds for each accepted request."""
        return self.server_cpu / max(1, sum(phase.accepted for phase in self.phases.values()))

    @property
    def driver_share(self) -> float:
        """k6's share of the CPU time of server and k6."""
        return self.driver_cpu / max(1e-9, self.driver_cpu + self.server_cpu)


Scenario = dict[str, Any]


def closed(connections: int, *, requests: int) -> Scenario:
    """`requests` requests in total over persistent connections; each sends again as soon as it is answered."""
    return {
        "executor": "shared-iterations", "vus": connections, "iterations": requests, "maxDuration": "120s",
        "exec": "main",
    }  # fmt: skip


def closed_for(connections: int, *, seconds: float) -> Scenario:
    """The same, for a number of seconds instead of requests."""
    return {"executor": "constant-vus", "vus": connections, "duration": _span(seconds), "exec": "main"}


def arrivals(rate: float, *, seconds: float, start: float = 0.0, name: str = "main", patience: float = 0.8) -> Scenario:
    """`rate` requests a second for `seconds`, whatever the server does. k6 needs a whole number, so it gets the rate a
    minute.

    There are as many connections as requests arrive within `patience` seconds. k6 drops an arrival without a free
    connection; it counts as failed.
    """
    most = min(MOST_CONNECTIONS, max(8, math.ceil(rate * patience)))
    return {
        "executor": "constant-arrival-rate", "rate": max(1, round(rate * 60)), "timeUnit": "60s",
        "duration": _span(seconds), "startTime": _span(start), "preAllocatedVUs": most, "maxVUs": most,
        "gracefulStop": f"{TIMEOUT_SECONDS}s", "exec": name,
    }  # fmt: skip


def drive(
    server: Server, k6: Path, pictures: Sequence[bytes], scenarios: Mapping[str, Scenario], *, bound: float = BOUND_MS
) -> Loaded:
    """Runs the scenarios against the server. Raises LoadError."""
    with TemporaryDirectory(prefix="kennel-load-") as name:
        folder = Path(name)
        bodies = [_written(folder / f"body{index}", server, each) for index, each in enumerate(pictures)]
        options = {
            "url": server.inference,
            "bodies": bodies,
            "headers": {"Content-Type": server.peer.content_type, **server.peer.headers},
            "timeout": TIMEOUT_SECONDS,
            "refused": list(server.peer.refused),
            "bound": bound,
            "scenarios": dict(scenarios),
            "summary": str(folder / "summary.json"),
        }
        before, driver_before, began = cpu_seconds(server.pid), _children_cpu(), time.monotonic()
        _run(k6, json.dumps(options))
        seconds = time.monotonic() - began
        server_cpu, driver_cpu = cpu_seconds(server.pid) - before, _children_cpu() - driver_before
        metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    phases = {phase: phase_of(metrics, phase, _length(scenarios[phase], metrics, seconds)) for phase in scenarios}
    return Loaded(phases=phases, server_cpu=server_cpu, driver_cpu=driver_cpu)


def phase_of(metrics: Mapping[str, Any], name: str, seconds: float) -> Phase:
    """Reads one phase from k6's summary. Arrivals that k6 dropped count as failures of the phase "main"."""
    accepted, refused = _values(metrics, f"{name}_accepted"), _values(metrics, f"{name}_refused")
    dropped = _count(metrics, "dropped_iterations") if name == "main" else 0
    return Phase(
        seconds=seconds,
        accepted=int(accepted.get("count", 0)),
        refused=int(refused.get("count", 0)),
        failed=_count(metrics, f"{name}_failed") + dropped,
        late=_count(metrics, f"{name}_late"),
        hinted=_count(metrics, f"{name}_hinted"),
        p50=accepted.get("med", math.inf),
        p90=accepted.get("p(90)", math.inf),
        p99=accepted.get("p(99)", math.inf),
        refused_p99=refused.get("p(99)", math.nan),
    )


def _run(k6: Path, load: str) -> None:
    command = [str(k6), "run", "--quiet", "--no-usage-report", "--address", "", "--env", f"LOAD={load}", str(SCRIPT)]
    environment = {**os.environ, "K6_NO_USAGE_REPORT": "true", "GOMAXPROCS": "1", "GOGC": "400"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    if done.returncode != 0:
        raise LoadError(f"k6 exited with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")


def _written(path: Path, server: Server, picture: bytes) -> str:
    path.write_bytes(server.peer.body(picture))
    return str(path)


def _length(scenario: Scenario, metrics: Mapping[str, Any], seconds: float) -> float:
    """A phase's seconds: arrivals last as long as requested, a closed loop until its last answer."""
    if scenario["executor"] == "constant-arrival-rate":
        return float(scenario["duration"].removesuffix("ms")) / 1000
    iterations = _values(metrics, "iterations")
    return iterations["count"] / iterations["rate"] if iterations.get("rate") else seconds


def _span(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _values(metrics: Mapping[str, Any], name: str) -> dict[str, float]:
    values = metrics.get(name, {}).get("values", {})
    return {key: float(value) for key, value in values.items()}


def _count(metrics: Mapping[str, Any], name: str) -> int:
    return int(_values(metrics, name).get("count", 0))


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
