"""Seconds to train a new head on a frozen ResNet-50, 20 epochs at 224 px: whole jobs, beside four other trainers.

    .venv/bin/python -m benchmarks.train_frozen [--rounds N] [--whole]

Counts the seconds from exec until the model is written and its test top-1 is known, including imports and start. Our
trainer runs its whole job in every round, each time with another seed. A peer's 20 epochs take a quarter of an hour, so
in each round it runs two epochs on an even part of the same pictures, and the speed of the second epoch's steps is
extrapolated (benchmarks/training/estimate.py). --whole really runs the 20 epochs of the fastest peer, once.
benchmarks/train_frozen_accuracy.py compares what is learnt.

Writes results/train_frozen.json.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Mapping

from benchmarks.harness import Row, column, interleaved, machine, not_measured, speedup, write
from benchmarks.training import checks, ours, peer, pictures
from benchmarks.training.comparison import RUNS, Comparison, Measured
from benchmarks.training.estimate import whole
from benchmarks.training.evaluate import evaluate
from benchmarks.training.peer import PEERS, PLAIN, TIMM, Peer, Ran, called

EPOCHS = 20
TIMED = {"train": 96, "valid": 32, "test": 32}
SHORT = 2  # epochs of a peer's timed job
BATCH = 32
RATE = 0.003  # also our default
TARGET = 15.0
WHAT = f"frozen ResNet-50, {EPOCHS} epochs, whole job, s"


def candidates(table: Comparison) -> dict[str, Callable[[], Measured]]:
    """Our trainer, every peer, and one peer with its own options for speed."""
    counts, seeds = pictures.counts(table.data), itertools.count()

    def mine() -> Measured:
        """A whole job, each time with the next seed."""
        settings = {"epochs": EPOCHS, "freeze_backbone": True, "seed": next(seeds)}
        run = ours.train(table.data, table.weights, RUNS / "frozen-ours", **settings)
        checks.ours_whole(run, counts=counts, epochs=EPOCHS)
        return {"seconds": run.wall, "test_top1": run.closing["test_top1"]}

    def theirs(one: Peer, *, fast: bool = False) -> Callable[[], Measured]:
        """A short job of a peer, extrapolated to the whole job."""

        def stretched(ran: Ran) -> Measured:
            job = whole(ran.wall, ran.outcome, TIMED, counts, batch=BATCH, drops_last=one.drops_last)
            return {"seconds": job.seconds(EPOCHS), "short_job": ran.wall, "once": job.once, "epoch": job.epoch}

        return table.theirs(one, stretched, epochs=SHORT, fast=fast)

    return {"ours": mine, **{one.name: theirs(one) for one in PEERS}, called(TIMM, fast=True): theirs(TIMM, fast=True)}


def time_rows(runs: Mapping[str, list[Measured]], failed: Mapping[str, str]) -> list[Row]:
    """A row for each peer, the fastest first. Only peers with their default options have a target."""
    mine, rows = column(runs["ours"], "seconds"), []
    for name, measured in runs.items():
        if name == "ours":
            continue
        one, plain = known(name), name in [each.name for each in PEERS]
        target = TARGET if plain else None
        if name in failed:
            rows.append(not_measured(WHAT, name, failed[name], target=target))
            continue
        note = f"from {SHORT} epochs of {TIMED['train']} pictures" + f"; {one.note}" * bool(one.note)
        rows.append(speedup(WHAT, mine, column(measured, "seconds"), name, target=target, note=note))
    return sorted(rows, key=lambda row: row.peer or float("inf"))


def known(name: str) -> Peer:
    """The peer that a name in the table belongs to."""
    return next(one for one in PEERS if name.startswith(one.name))


def whole_row(table: Comparison, runs: Mapping[str, list[Measured]]) -> Row:
    """A row for the fastest peer's whole job, really run once."""
    plain = [one for one in PEERS if one.name not in table.failed]
    fastest = min(plain, key=lambda one: statistics.median(column(runs[one.name], "seconds")))
    job = table.job(fastest, table.data, EPOCHS)
    ran = peer.train(fastest, job)
    top1 = evaluate(PLAIN.python(), job.output / "model.pt", table.data / "test", table.weights)["top1"]
    guessed = statistics.median(column(runs[fastest.name], "seconds"))
    note = f"all {EPOCHS} epochs run, once; the estimate was {guessed:.0f} s; test top-1 {top1:.4f} at rate {RATE}"
    mine = [statistics.median(column(runs["ours"], "seconds"))]
    return speedup(WHAT, mine, [ran.wall], f"{fastest.name}, run whole", target=TARGET, note=note)


def check(table: Comparison, runs: Mapping[str, list[Measured]]) -> int:
    """Checks that all trained on the same pictures and parameters, and evaluates our last model. Raises CheckError."""
    evaluation = evaluate(PLAIN.python(), RUNS / "frozen-ours" / "model", table.data / "test", table.weights)
    checks.accuracy_agrees(runs["ours"][-1]["test_top1"], evaluation["top1"])
    if evaluation["backbone_changed"]:
        raise checks.CheckError(f"ours changed {evaluation['backbone_changed']:.0f} numbers of a frozen backbone")
    return table.trained_alike()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="run the fastest peer's 20 epochs, once: a quarter hour")
    options = parser.parse_args()
    table = Comparison("frozen", TIMED, frozen=True, rate=RATE, batch=BATCH)
    setup = machine(dict(package.split("==") for package in peer.TORCH))
    print(setup, flush=True)
    table.ready()
    runs = interleaved(candidates(table), options.rounds)
    trained = check(table, runs)
    print(f"  the same pictures for all, {trained} parameters trained, every loss falls", flush=True)
    rows = time_rows(runs, table.failed)
    if options.whole:
        rows.append(whole_row(table, runs))
    write("train_frozen", rows, runs, setup, title="Frozen backbone: the whole job, times faster")


if __name__ == "__main__":
    main()
