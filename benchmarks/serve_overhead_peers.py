"""CPU time of a server without a model: each reads a JPEG of 30 kB and answers 14 constant probabilities.

    .venv/bin/python -m benchmarks.serve_overhead_peers [--rounds N] [--model FOLDER] [--peers NAME …]

Measures CPU microseconds a request of the whole process tree (from /proc, before and after) in closed loops over 1 and
8 persistent connections, and CPU and latency at 50 arrivals a second, which includes the work that a server does while
idle. Our server and the peers take turns, and each turn starts a new server. Ours is `python -m serve` without decoding
and the network (benchmarks/serving/handlers/kennel_null.py). Writes results/serve_overhead_peers.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, at_most, column, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import comparison, inputs, load
from benchmarks.serving.install import k6
from benchmarks.serving.server import Server

TARGET = 0.5  # of the best peer's CPU a request
REQUESTS, WARM, RATE, SECONDS = 1200, 300, 50.0, 4.0
BODY_BYTES = 30_000
WHAT = {
    "cpu_1": "CPU a request, 1 connection, µs",
    "cpu_8": "CPU a request, 8 connections, µs",
    "cpu_50": "CPU a request at 50 a second, µs",
    "p50": "median latency at 50 a second, ms",
    "p99": "p99 latency at 50 a second, ms",
}


def measure(server: Server) -> Measured:
    """Measures one server."""
    driver, bodies = k6(), inputs.sized(BODY_BYTES, 4)
    load.drive(server, driver, bodies, {"main": load.closed(4, requests=WARM)})
    one = load.drive(server, driver, bodies, {"main": load.closed(1, requests=REQUESTS)})
    eight = load.drive(server, driver, bodies, {"main": load.closed(8, requests=REQUESTS)})
    arriving = load.drive(server, driver, bodies, {"main": load.arrivals(RATE, seconds=SECONDS)})
    for each in (one, eight, arriving):
        if each.main.refused + each.main.failed:
            raise ValueError(f"{server.peer.name} did not answer all: {each.main}")
    return {
        "cpu_1": one.cpu_per_request * 1e6,
        "cpu_8": eight.cpu_per_request * 1e6,
        "cpu_50": arriving.cpu_per_request * 1e6,
        "p50": arriving.main.p50,
        "p99": arriving.main.p99,
        "rate_8": eight.main.accepted / eight.main.seconds,
        "driver_share": eight.driver_share,
    }


def rows(runs: Mapping[str, Sequence[Measured]], notes: Mapping[str, str]) -> list[Row]:
    """CPU a request in closed loops has a target; the other figures have none."""
    table = []
    for key, what in WHAT.items():
        target = TARGET if key in ("cpu_1", "cpu_8") else None
        for name, measured in runs.items():
            if name != "ours":
                pair = column(runs["ours"], key), column(measured, key)
                table.append(at_most(what, *pair, name, target=target, note=notes.get(name, "")))
    return table


def main() -> None:
    options = comparison.arguments(__doc__, rounds=5)
    compared = comparison.prepare("null", inputs.check_model(options.model), options.peers)
    print(comparison.setup(compared), comparison.tunings(compared), sep="\n", flush=True)
    runs = compared.turns(measure, options.rounds)
    table = [*rows(runs, compared.notes()), *compared.missing(WHAT["cpu_8"], target=TARGET)]
    title = "A server's own cost, without a model"
    write("serve_overhead_peers", table, runs, comparison.setup(compared), title=title)


if __name__ == "__main__":
    main()
