"""Seconds from exec to the first 200 of the ready path, and memory after 50 requests, beside each torch peer.

    .venv/bin/python -m benchmarks.serve_start [--rounds N] [--model FOLDER] [--peers NAME …]

The ready path is polled every 5 ms; 200 means that the model can answer. Memory is that of the whole process tree: PSS
divides a shared page among the processes that map it, RSS counts it in full for each. Before the rounds, each server
starts once to write bytecode and fill the page cache. Writes results/serve_start.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, at_most, column, memory, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import comparison, inputs, load
from benchmarks.serving.install import k6
from benchmarks.serving.server import Server

REQUESTS, PICTURES = 50, 8
MIB = 1024 * 1024
TARGETS = {"start": ("exec to the first 200, s", 1 / 3), "pss": ("memory (PSS) after 50 requests, MiB", 1 / 2)}
BESIDE = {"rss": "memory (RSS) after 50 requests, MiB"}


def measure(server: Server) -> Measured:
    """Measures one started server."""
    pictures = inputs.pictures(PICTURES)
    if len(server.ask(pictures[0])) < 2:
        raise ValueError(f"{server.peer.name} answers no probabilities")
    load.drive(server, k6(), pictures, {"main": load.closed(4, requests=REQUESTS)})
    used = memory(server.pid)
    return {"start": server.start_seconds, "pss": used.pss / MIB, "rss": used.rss / MIB}


def rows(runs: Mapping[str, Sequence[Measured]], notes: Mapping[str, str]) -> list[Row]:
    """Start and PSS have a target against every peer, so the fastest and the smallest peer decide."""
    peers = {name: measured for name, measured in runs.items() if name != "ours"}
    columns = [(key, what, target) for key, (what, target) in TARGETS.items()]
    columns += [(key, what, 0.0) for key, what in BESIDE.items()]
    return [
        at_most(
            what,
            column(runs["ours"], key),
            column(measured, key),
            name,
            target=round(target, 3) or None,
            note=notes.get(name, ""),
        )
        for key, what, target in columns
        for name, measured in peers.items()
    ]


def main() -> None:
    options = comparison.arguments(__doc__, rounds=5)
    model = inputs.check_model(options.model)
    compared = comparison.prepare("resnet50", model, options.peers)
    setup = f"{comparison.setup(compared)}; {comparison.engine_of(model)}"
    print(setup, comparison.tunings(compared), sep="\n", flush=True)
    runs = compared.turns(measure, options.rounds, warm=1)
    write(
        "serve_start",
        [*rows(runs, compared.notes()), *compared.missing(TARGETS["start"][0])],
        runs,
        setup,
        title="Start and memory",
    )


if __name__ == "__main__":
    main()
