"""Twice as many requests as a server can answer: how many it answers, how fast it refuses, and whether it recovers.

    .venv/bin/python -m benchmarks.serve_overload [--rounds N] [--model FOLDER] [--peers NAME …]

The peak is the rate of a closed loop over 16 persistent connections. Then requests arrive at twice that rate for 8 s
(open model), then none for one second, then half the peak for 4 s, which shows whether the server has recovered.
Goodput counts the answers that came within 1 s. The servers take turns in every round. Writes
results/serve_overload.json.

Each arrival takes a free connection. Our server frees connections fast enough that as many as arrive in 0.45 s suffice
and no request fails for lack of one. Fewer connections matter because k6 takes CPU for each of them: 0.8 ms a request
with connections for 0.8 s of arrivals, 0.68 with those for 0.45 s. A peer that lets its callers wait gets as many
connections as k6 can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, alone, at_least, at_most, column, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import comparison, inputs, load
from benchmarks.serving.install import k6
from benchmarks.serving.server import Server

GOODPUT = 0.9  # of the peak
REFUSED_MS, RECOVERED_MS = 100.0, 500.0  # the bounds for "refused fast" and "recovered"
PEAK_CONNECTIONS, PEAK_SECONDS = 16, 6.0
OVER, OVER_SECONDS, PAUSE, AFTER_SECONDS = 2.0, 8.0, 1.0, 4.0
USEFUL_MS, PICTURES = 1000.0, 12
PATIENCE = 0.45  # seconds of arrivals that our server gets connections for


def measure(server: Server) -> Measured:
    """Measures one server."""
    driver, pictures = k6(), inputs.pictures(PICTURES)
    load.drive(server, driver, pictures, {"main": load.closed(4, requests=32)})
    full = load.drive(server, driver, pictures, {"main": load.closed_for(PEAK_CONNECTIONS, seconds=PEAK_SECONDS)})
    peak = full.main.accepted / full.main.seconds
    patience = PATIENCE if server.peer.name == "ours" else OVER_SECONDS
    scenarios = {
        "main": load.arrivals(OVER * peak, seconds=OVER_SECONDS, patience=patience),
        "after": load.arrivals(
            peak / 2, seconds=AFTER_SECONDS, start=OVER_SECONDS + PAUSE, name="after", patience=patience
        ),
    }
    both = load.drive(server, driver, pictures, scenarios, bound=USEFUL_MS)
    over, after = both.main, both.phases["after"]
    return {
        "peak": peak,
        "goodput": goodput(over),
        "refused": over.refused / max(1, over.requests),
        "hinted": over.hinted / max(1, over.refused),
        "failed": over.failed / max(1, over.requests),
        "refused_p99": over.refused_p99 if over.refused else 0.0,
        "accepted_p50": min(over.p50, 1e6),
        "accepted_p99": min(over.p99, 1e6),
        "after_p99": min(after.p99, 1e6),
        "after_answered": after.accepted / max(1, after.requests),
    }


def goodput(over: load.Phase) -> float:
    """Useful answers a second. The time until the last answer, after the last arrival, counts too."""
    return (over.accepted - over.late) / (over.seconds + min(over.p99, USEFUL_MS) / 1000)


def rows(runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    """Our server beside its own peak and bounds, followed by the peers' numbers."""
    ours = runs["ours"]
    bound = [REFUSED_MS] * len(ours)
    table = [
        at_least("goodput at twice the peak, 1/s", column(ours, "goodput"), column(ours, "peak"), "its own peak",
                 target=GOODPUT),
        at_most("p99 of a refusal, ms", column(ours, "refused_p99"), bound, f"{REFUSED_MS:g} ms", target=1.0),
        at_most("p99 of the accepted, ms", column(ours, "accepted_p99"), [USEFUL_MS] * len(ours), "1 s", target=1.0),
        at_most("p99 from one second after, ms", column(ours, "after_p99"), [RECOVERED_MS] * len(ours), "500 ms",
                target=1.0),
        at_least("answered from one second after", column(ours, "after_answered"), [1.0] * len(ours), "all",
                 target=1.0),
        alone("share refused", column(ours, "refused"), "of all arrivals"),
        alone("refusals with Retry-After", column(ours, "hinted"), "share"),
    ]  # fmt: skip
    for name, measured in runs.items():
        if name != "ours":
            table += _beside(name, measured)
    return table


def _beside(name: str, measured: Sequence[Measured]) -> list[Row]:
    share = [
        goodput / peak for goodput, peak in zip(column(measured, "goodput"), column(measured, "peak"), strict=True)
    ]
    return [
        alone(f"{name}: goodput over its peak", share),
        alone(f"{name}: p99 of the accepted, ms", column(measured, "accepted_p99")),
        alone(f"{name}: share refused", column(measured, "refused")),
        alone(f"{name}: share failed", column(measured, "failed")),
        alone(f"{name}: p99 from one second after, ms", column(measured, "after_p99")),
    ]


def main() -> None:
    options = comparison.arguments(__doc__, rounds=5)
    model = inputs.check_model(options.model)
    compared = comparison.prepare("resnet50", model, options.peers)
    setup = f"{comparison.setup(compared)}; {comparison.engine_of(model)}"
    print(setup, comparison.tunings(compared), sep="\n", flush=True)
    runs = compared.turns(measure, options.rounds)
    table = [*rows(runs), *compared.missing("goodput at twice the peak, 1/s")]
    write("serve_overload", table, runs, setup, title="Twice the load that a server can take")


if __name__ == "__main__":
    main()
