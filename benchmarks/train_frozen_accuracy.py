"""Test top-1 of a new head on a frozen ResNet-50 after 20 epochs at 224 px, over seeds: ours beside any peer.

    .venv/bin/python -m benchmarks.train_frozen_accuracy [--seeds N]

Our trainer runs its whole job with default settings, and its model is evaluated as it will be served. A frozen backbone
computes the same features whichever trainer trains the head, so one row stands for every peer
(benchmarks/training/views.py). The peer sees another crop of each picture in each epoch and gets the best of five
learning rates; ours sees each picture once and uses its default rate.

Writes results/train_frozen_accuracy.json. Five seeds take about eleven minutes on two cores, seven more the first time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, at_least, column, machine, write
from benchmarks.training import checks, ours, peer, pictures, views
from benchmarks.training.comparison import RUNS, Measured
from benchmarks.training.evaluate import evaluate
from benchmarks.training.job import Job
from benchmarks.training.peer import PLAIN

EPOCHS = 20


def mine(seed: int) -> Measured:
    """A job of ours, whose reported top-1 must match our own evaluation of the model. Raises CheckError."""
    data, weights = pictures.whole(), pictures.starting_weights()
    settings = {"epochs": EPOCHS, "freeze_backbone": True, "seed": seed}
    run = ours.train(data, weights, RUNS / "frozen-accuracy", **settings)
    checks.ours_whole(run, counts=pictures.counts(data), epochs=EPOCHS)
    evaluation = evaluate(PLAIN.python(), run.model, data / "test", weights)
    checks.accuracy_agrees(run.closing["test_top1"], evaluation["top1"])
    print(f"  seed {seed}: test top-1 {run.closing['test_top1']:.4f}, in float32 {evaluation['top1']:.4f}", flush=True)
    return {"top1": run.closing["test_top1"], "top1_float32": evaluation["top1"], "seconds": run.wall}


def rows(runs: Mapping[str, Sequence[Measured]], rate: float) -> list[Row]:
    """Compares top-1; up to half a point less counts as equal."""
    us, them = column(runs["ours"], "top1"), column(runs["any peer"], "top1")
    target = round(1 - checks.TOP1_TOLERANCE / statistics.median(them), 4)
    name = f"any peer, learning rate {rate:g} (best of {len(views.RATES)} on valid)"
    what = f"frozen ResNet-50, {EPOCHS} epochs, test top-1 over {len(us)} seeds"
    return [at_least(what, us, them, name, target=target, note="equal means within 0.5 points")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    setup = machine(dict(package.split("==") for package in peer.TORCH))
    print(setup, flush=True)
    ours.ready()
    PLAIN.ready()
    data, weights = pictures.whole(), pictures.starting_weights()
    job = Job(data=data, weights=weights, output=views.FOLDER, epochs=EPOCHS, frozen=True, rate=views.RATES[0])
    theirs = views.peer_top1(PLAIN.python(), job, options.seeds)
    runs: dict[str, list[Measured]] = {
        "ours": [mine(seed) for seed in range(options.seeds)],
        "any peer": [{"top1": top1} for top1 in theirs["test"]],
    }
    write("train_frozen_accuracy", rows(runs, theirs["rate"]), runs, setup, title="Frozen backbone: test top-1")


if __name__ == "__main__":
    main()
