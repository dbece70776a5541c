"""From exec to the first 200 of the ready path, and memory after 50 requests: ours beside each torch peer.

    .venv/bin/python -m benchmarks.serve_start [--rounds N] [--model FOLDER] [--peers NAME …]

Ready is asked every 5 ms and means that the model answers. Memory is of the whole process tree: PSS shares pages among
the processes that map them, RSS counts them for each. One start of each before the rounds writes bytecode and fills the
page cache. Writes results/serve_start.json.
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
    """One start."""
    pictures = inputs.pictures(PICTURES)
    if len(server.ask(pictures[0])) < 2:
        raise ValueError(f"{server.peer.name} answers no probabilities")
    load.drive(server, k6(), pictures, {"main": load.closed(4, requests=REQUESTS)})
    used = memory(server.pid)
    return {"start": server.start_seconds, "pss": used.pss / MIB, "rss": used.rss / MIB}


def rows(runs: Mapping[str, Sequence[Measured]], notes: Mapping[str, str]) -> list[Row]:
    """Each peer is held to the target: the fastest and the smallest decide."""
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
