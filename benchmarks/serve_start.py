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
from benchmarks.serving import contest, inputs, load
from benchmarks.serving.install import k6
from benchmarks.serving.server import Server

REQUESTS, PICTURES = 50, 8
MIB = 1024 * 1024
TARGETS = {"start": ("exec to the first 200, s", 1 / 3), "pss": ("memory (PSS) after 50 requests, MiB", 1 / 2)}
BESIDE = {"rss": "memory (RSS) after 50 requests, MiB"}


def measure(server: Server) -> Measured:
    """One start."""
    asked = inputs.pictures(PICTURES)
    if len(server.ask(asked[0])) < 2:
        raise ValueError(f"{server.peer.name} answers no probabilities")
    load.drive(server, k6(), asked, {"main": load.closed(4, requests=REQUESTS)})
    found = memory(server.pid)
    return {"start": server.start_seconds, "pss": found.pss / MIB, "rss": found.rss / MIB}


def rows(runs: Mapping[str, Sequence[Measured]], notes: Mapping[str, str]) -> list[Row]:
    """Each peer is held to the target: the fastest and the smallest decide."""
    peers = {name: taken for name, taken in runs.items() if name != "ours"}
    wanted = [(key, what, target) for key, (what, target) in TARGETS.items()]
    wanted += [(key, what, 0.0) for key, what in BESIDE.items()]
    return [
        at_most(
            what,
            column(runs["ours"], key),
            column(taken, key),
            name,
            target=round(target, 3) or None,
            note=notes.get(name, ""),
        )
        for key, what, target in wanted
        for name, taken in peers.items()
    ]


def main() -> None:
    options = contest.arguments(__doc__, rounds=5)
    model = inputs.check_model(options.model)
    contestants = contest.contest("resnet50", model, options.peers)
    said = f"{contest.where(contestants)}; {contest.engine_of(model)}"
    print(said, contest.tunings(contestants), sep="\n", flush=True)
    runs = contestants.turns(measure, options.rounds, warm=1)
    write(
        "serve_start",
        [*rows(runs, contestants.notes()), *contestants.missing(TARGETS["start"][0])],
        runs,
        said,
        title="Start and memory",
    )


if __name__ == "__main__":
    main()
