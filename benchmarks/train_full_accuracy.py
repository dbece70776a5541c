"""Test top-1 of a whole network after equal epochs on all pictures, over seeds: ours beside a plain loop.

    .venv/bin/python -m benchmarks.train_full_accuracy [--seeds N] [--epochs N]

ResNet-50 at 224 px, batch 32, both with the same learning rate. The other trainers of train_full do the plain loop's
arithmetic, so they are left out. float32 torch evaluates both models. Seconds are recorded without a target, because
train_full compares speed.

Writes results/train_full_accuracy.json. A seed of two epochs takes nine minutes on two cores, three of them for ours.
Each run is therefore stored: an interrupted command resumes with the next run, unless the code that trains has changed.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.harness import Row, at_least, column, fingerprint, interleaved, kept, machine, write
from benchmarks.harness.environments import ROOT
from benchmarks.training import checks, ours, peer, pictures
from benchmarks.training.comparison import RUNS
from benchmarks.training.evaluate import evaluate
from benchmarks.training.job import Job
from benchmarks.training.peer import PLAIN

BATCH, RATE = 32, 0.01  # the rate is also our default


class Accuracy:
    """Runs our trainer or the plain loop, each time with its next seed."""

    def __init__(self, epochs: int) -> None:
        self.data, self.weights, self.epochs = pictures.whole(), pictures.starting_weights(), epochs
        self.seeds = {"ours": itertools.count(), "plain": itertools.count()}

    def ours(self) -> Mapping[str, float]:
        """The next run of ours."""
        return self.kept("ours", self.run_ours, fingerprint([ROOT / "train", ROOT / "contract"]))

    def plain(self) -> Mapping[str, float]:
        """The next run of the plain loop."""
        return self.kept("plain", self.run_plain, fingerprint([ROOT / "benchmarks" / "training"]))

    def kept(self, name: str, run: Callable[[int], Mapping[str, float]], code: str) -> Mapping[str, float]:
        seed = next(self.seeds[name])
        return kept(RUNS / "accuracy" / f"{name}-{code}-{self.epochs}-{seed}.json", lambda: run(seed))

    def run_ours(self, seed: int) -> Mapping[str, float]:
        settings = {"epochs": self.epochs, "freeze_backbone": False, "batch_size": BATCH, "seed": seed}
        run = ours.train(self.data, self.weights, RUNS / "accuracy-ours", **settings)
        checks.ours_whole(run, counts=pictures.counts(self.data), epochs=self.epochs)
        return {"seconds": run.wall, "top1": self.top1(run.model)}

    def run_plain(self, seed: int) -> Mapping[str, float]:
        job = Job(
            data=self.data, weights=self.weights, output=RUNS / "accuracy-plain", epochs=self.epochs, frozen=False,
            rate=RATE, batch=BATCH, seed=seed,
        )  # fmt: skip
        ran = peer.train(PLAIN, job)
        checks.peer_learns(PLAIN.name, ran.outcome.losses)
        return {"seconds": ran.wall, "top1": self.top1(job.output / "model.pt")}

    def top1(self, model: Path) -> float:
        """The model's test top-1 in float32."""
        return evaluate(PLAIN.python(), model, self.data / "test", self.weights)["top1"]


def rows(runs: Mapping[str, list[Mapping[str, float]]], epochs: int) -> list[Row]:
    """Compares top-1; up to half a point less counts as equal."""
    us, them = (column(measured, "top1") for measured in runs.values())
    target = round(1 - checks.TOP1_TOLERANCE / statistics.median(them), 4)
    what = f"ResNet-50 fine-tuned whole, {epochs} epochs, test top-1 over {len(us)} seeds"
    return [at_least(what, us, them, f"{PLAIN.name}, rate {RATE}", target=target, note="equal within 0.5 points")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    table = Accuracy(options.epochs)
    setup = machine(dict(package.split("==") for package in peer.TORCH))
    print(setup, flush=True)
    ours.ready()
    PLAIN.ready()
    runs = interleaved({"ours": table.ours, PLAIN.name: table.plain}, options.seeds)
    write("train_full_accuracy", rows(runs, options.epochs), runs, setup, title="Full fine-tuning: test top-1")


if __name__ == "__main__":
    main()
