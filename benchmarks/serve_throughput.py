"""ResNet-50 as shipped: our server with the engine that packaging chose, each peer with torch in fp32, the same JPEGs.

    .venv/bin/python -m benchmarks.serve_throughput [--rounds N] [--model FOLDER] [--peers NAME …]

Each turn starts a server, checks its answers against torch in fp32 (the best label where the reference is sure of it;
for the peers also every probability), warms it up, and measures
- at 6 arrivals a second, about 60 % of what the slowest peer can answer: CPU seconds a request of the whole process
  tree, and latency;
- over 8 persistent connections in a closed loop: rate, and CPU a request;
- the highest rate of arrivals (open model) with a 99th percentile of at most 500 ms and no refusal, in one of two
  tries. A try lasts 6 s, so the rate may be up to 8 % above a sustainable one, for every server alike.
The servers take turns in every round. The target is set against the best peer: the one whose highest rate has the
highest median. The model is a folder that training wrote (`./inv demo` trains one of groceries). Writes
results/serve_throughput.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.harness import Row, alone, at_least, at_most, column, speedup, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import capacity, comparison, inputs, load
from benchmarks.serving.install import k6
from benchmarks.serving.server import Server

TARGET = 5.0  # times the best peer's highest rate
EQUAL_RATE, EQUAL_SECONDS = 6.0, 6.0
CONNECTIONS, CLOSED_SECONDS = 8, 5.0
STEPS, STEP_SECONDS = 4, 6.0
PICTURES = 12
HIGHEST = "highest rate with p99 at most 500 ms, 1/s"


class Turn:
    """Measures one server. Remembers the highest rate of the last round, where the next search starts."""

    def __init__(self, known: inputs.Reference) -> None:
        self._known, self._driver = known, k6()
        self._highest_rates: dict[str, float] = {}

    def __call__(self, server: Server) -> Measured:
        same = inputs.checked(server, self._known, exact=server.peer.name != "ours")
        self._drive(server, load.closed(4, requests=32))
        equal = self._drive(server, load.arrivals(EQUAL_RATE, seconds=EQUAL_SECONDS))
        full = self._drive(server, load.closed_for(CONNECTIONS, seconds=CLOSED_SECONDS))
        rate = full.main.accepted / full.main.seconds
        highest = self._highest(server, self._highest_rates.get(server.peer.name, 0.9 * rate))
        self._highest_rates[server.peer.name] = highest or 0.9 * rate
        return {
            "cpu_equal": equal.cpu_per_request,
            "p50": equal.main.p50,
            "p90": equal.main.p90,
            "p99": equal.main.p99,
            "cpu": full.cpu_per_request,
            "closed": rate,
            "highest": highest,
            "difference": same.largest,
            "sure": same.sure,
            "driver_share": full.driver_share,
        }

    def _highest(self, server: Server, start: float) -> float:
        def passes(rate: float) -> bool:
            return self._drive(server, load.arrivals(rate, seconds=STEP_SECONDS)).main.within()

        return capacity.highest(passes, start, steps=STEPS)

    def _drive(self, server: Server, scenario: load.Scenario) -> load.Loaded:
        return load.drive(server, self._driver, self._known.pictures, {"main": scenario})


def best_peer(runs: Mapping[str, Sequence[Measured]]) -> str:
    """The peer whose highest rate has the highest median; empty when no peer ran."""
    rates = {name: median(column(measured, "highest")) for name, measured in runs.items() if name != "ours"}
    return max(rates, key=lambda name: rates[name], default="")


def rows(runs: Mapping[str, Sequence[Measured]], best: str, notes: Mapping[str, str]) -> list[Row]:
    """The best peer comes first; only its row has a target."""
    ours, table = runs["ours"], []
    for name in sorted((name for name in runs if name != "ours"), key=lambda name: name != best):
        note = f"{notes.get(name, name)}{'; the best peer' if name == best else ''}"
        target = TARGET if name == best else None

        def pair(key: str, theirs: Sequence[Measured] = runs[name]) -> tuple[list[float], list[float]]:
            return column(ours, key), column(theirs, key)

        table += [
            at_most("CPU a request at 6 a second, s", *pair("cpu_equal"), name, note=note),
            speedup("median latency at 6 a second, ms", *pair("p50"), name, note=note),
            speedup("90th percentile at 6 a second, ms", *pair("p90"), name, note=note),
            at_most("CPU a request in a closed loop, s", *pair("cpu"), name, note=note),
            at_least("closed loop, 8 connections, 1/s", *pair("closed"), name, note=note),
            at_least(HIGHEST, *pair("highest"), name, target=target, note=note),
        ]
    largest = "largest difference of a probability from torch in fp32"
    return [
        *table,
        alone(largest, column(ours, "difference"), "the best label agrees wherever the reference is sure"),
        alone("k6's share of the CPU in ours' closed loop", column(ours, "driver_share")),
    ]


def main() -> None:
    options = comparison.arguments(__doc__, rounds=5)
    model = inputs.check_model(options.model)
    compared = comparison.prepare("resnet50", model, options.peers)
    setup = f"{comparison.setup(compared)}; {comparison.engine_of(model)}"
    print(setup, comparison.tunings(compared), sep="\n", flush=True)
    turn = Turn(inputs.reference(model, inputs.pictures(PICTURES)))
    runs = compared.turns(turn, options.rounds)
    best = best_peer(runs)
    table = [*rows(runs, best, compared.notes()), *compared.missing(HIGHEST)]
    write("serve_throughput", table, runs, setup, title="ResNet-50 as shipped, beside torch in fp32 in its peers")


if __name__ == "__main__":
    main()
