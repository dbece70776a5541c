"""A training step and the features pass of each network, beside a plain loop: ours must not be slower on any of them.

    .venv/bin/python -m benchmarks.train_models [--rounds N] [--models NAME…] [--side PX] [--batch N]

The plain loop is torchvision's reference recipe: float32, contiguous, torch's SGD. The plain features pass is the
network in eval mode under no_grad. Ours is the product's loop and features pass, in the precision and layout that it
chooses at run time. Both start from the same weights, get the same decoded pictures and take turns; figures are
milliseconds a picture. The same run checks our first loss and our features against the plain float32 ones.

A ratio up to 1.03 counts as "not slower", because two runs of the same step differ by that much here.

Writes results/train_models.json. Five rounds take about eight minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, at_most, environment, json_lines, machine, newest_python, write
from benchmarks.harness.environments import ROOT

MODELS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "efficientnet_b0",
    "convnext_tiny",
    "mobilenet_v3_large",
    "vit_b_16",
)
TARGET = 1.03
LOSS, FEATURES = 0.05, 0.05  # the largest allowed differences from float32, as shares
PEERS = {"step": "plain float32 loop", "features": "plain float32 forward"}
Measurement = Mapping[str, Any]


class DifferentError(RuntimeError):
    """Our loss or features differ from the plain loop's."""


def rows(measurements: Sequence[Measurement]) -> list[Row]:
    """Two rows for each network: a training step, and features."""
    made = []
    for kind, peer in PEERS.items():
        for name in dict.fromkeys(row["model"] for row in measurements):
            own = [row for row in measurements if row["model"] == name]
            ours = [row[f"our_{kind}"] for row in own]
            plain = [row[f"plain_{kind}"] for row in own]
            what = {"step": "training step", "features": "features"}[kind]
            off = f"loss off by {own[0]['loss']:.2%}" if kind == "step" else f"off by {own[0]['features']:.2%}"
            note = f"{own[0]['precision']}, {off}"
            made.append(at_most(f"{name}: {what}, ms a picture", ours, plain, peer, target=TARGET, note=note))
    return made


def check(row: Measurement) -> None:
    """Raises DifferentError when loss or features are too far from float32's."""
    if not abs(row["loss"]) <= LOSS or not row["features"] <= FEATURES:  # also true for NaN
        far = f"loss differs by {row['loss']:.2%}, features by {row['features']:.2%}"
        raise DifferentError(f"{row['model']}: {far}; at most {LOSS:.0%} and {FEATURES:.0%} are allowed")


def measured(python: Path, rounds: int, side: int, batch: int, models: Sequence[str]) -> Iterator[Measurement]:
    """Rows of benchmarks/throughput/models.py, from one process for each network, so that each frees its memory."""
    for name in models:
        argv = [str(python), "-m", "benchmarks.throughput.models", str(rounds), str(side), str(batch), name]
        yield from json_lines(argv)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    python = environment("train", ["-r", str(ROOT / "docker" / "train.in")], python=newest_python())
    measurements: list[Measurement] = []
    for row in measured(python, options.rounds, options.side, options.batch, options.models):
        check(row)  # fail at once, not after the last network
        measurements.append(row)
        step = f"step {row['our_step']:.1f} against {row['plain_step']:.1f}"
        features = f"features {row['our_features']:.1f} against {row['plain_features']:.1f}"
        print(f"  round {row['round'] + 1}/{options.rounds}  {row['model']:20} {step}, {features}", flush=True)
    numbers = ("our_step", "plain_step", "our_features", "plain_features")
    runs = {
        name: [{key: row[key] for key in numbers} for row in measurements if row["model"] == name]
        for name in options.models
    }
    write("train_models", rows(measurements), runs, machine(), title="Ours against a plain loop, network by network")


if __name__ == "__main__":
    main()
