"""Pictures a second while fine-tuning a whole ResNet-50 at 224 px, batch 32, beside four other trainers.

    .venv/bin/python -m benchmarks.train_full [--rounds N]

All train on the same even part of the starter pictures. For a peer, all steps of an epoch count except the first, which
waits for the loader. For ours the whole second epoch counts, including waiting, as the product reports it. Ours and the
peers run with their default settings. Peers that have options for speed on a CPU run once more with them; those rows
have no target. benchmarks/train_full_accuracy.py compares what is learnt.

Writes results/train_full.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from benchmarks.harness import Row, at_least, column, interleaved, machine, not_measured, write
from benchmarks.training import checks, ours, peer
from benchmarks.training.comparison import RUNS, Comparison, Measured
from benchmarks.training.estimate import throughput
from benchmarks.training.peer import PEERS, Ran, called

TIMED = {"train": 64, "valid": 14, "test": 0}
BATCH = 32
RATE = 0.01  # also our default
TARGET = 1.3
WHAT = "ResNet-50 fine-tuned whole, batch 32, pictures a second"


def candidates(table: Comparison) -> dict[str, Callable[[], Measured]]:
    """Our trainer, every peer with default settings, and peers with their own options for speed."""

    def mine() -> Measured:
        """Two epochs; the second counts."""
        run = ours.train(
            table.part, table.weights, RUNS / "full-ours", epochs=2, freeze_backbone=False, batch_size=BATCH
        )
        checks.ours_whole(run, counts=TIMED, epochs=2)
        return {"pictures_per_second": run.epochs[-1]["pictures_per_second"]}

    def theirs(ran: Ran) -> Measured:
        return {"pictures_per_second": throughput(ran.outcome, BATCH)}

    measured: dict[str, Callable[[], Measured]] = {"ours": mine}
    for one in PEERS:
        measured[one.name] = table.theirs(one, theirs, epochs=1)
        if one.fast:
            measured[called(one, fast=True)] = table.theirs(one, theirs, epochs=1, fast=True)
    return measured


def throughput_rows(runs: Mapping[str, list[Measured]], failed: Mapping[str, str]) -> list[Row]:
    """A row for each peer with default settings, the fastest first, then the peers with options for speed."""
    mine = column(runs["ours"], "pictures_per_second")
    defaults: list[Row] = []
    tuned: list[Row] = []
    notes = {one.name: one.note for one in PEERS}
    for name, measured in runs.items():
        if name == "ours":
            continue
        plain = name in notes
        target = TARGET if plain else None
        rows = defaults if plain else tuned
        if name in failed:
            rows.append(not_measured(WHAT, name, failed[name], target=target))
            continue
        note = notes.get(name, "its own options for speed, off by default")
        theirs = column(measured, "pictures_per_second")
        rows.append(at_least(WHAT, mine, theirs, name, target=target, note=note))
    return sorted(defaults, key=_by_throughput) + sorted(tuned, key=_by_throughput)


def _by_throughput(row: Row) -> float:
    return -(row.peer or 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Comparison("full", TIMED, frozen=False, rate=RATE, batch=BATCH)
    setup = machine(dict(package.split("==") for package in peer.TORCH))
    print(setup, flush=True)
    table.ready()
    runs = interleaved(candidates(table), options.rounds)
    print(f"  the same pictures for all, {table.trained_alike()} parameters trained, losses are numbers", flush=True)
    write(
        "train_full",
        throughput_rows(runs, table.failed),
        runs,
        setup,
        title="Full fine-tuning: pictures a second, times faster",
    )


if __name__ == "__main__":
    main()
