"""From JPEGs to features: the frozen backbone's only pass, beside bare forward passes on pictures already decoded.

    .venv/bin/python -m benchmarks.train_features [--rounds N] [--models NAME…] [--pictures N]

Ours is the product's own pass from files, in the variables that it starts its ranks with, in the precision and layout
that it chooses here. The bare forward is the same folded network, numbers and layout on pictures that lie decoded and
cast in memory. On CPUs decoding hides behind nothing, since both want the same cores; what can be saved is waiting.
Threads that share a batch wait for each other at each layer, so ours computes a batch a thread; the same without
decoding stands beside it. In the same run features are held against those of the plain float32 network.

Writes results/train_features.json. Five rounds take about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness import Row, at_least, json_lines, machine, write
from benchmarks.training import ours, pictures
from train.host import launch

MODELS = ("resnet50", "resnet18", "mobilenet_v3_large")
TARGETS = {"resnet50": 0.95}
OFF = 0.05  # how far features may be from float32's, as a share
PEERS = {
    "bare": "bare forward of decoded pictures",
    "abreast": "bare forward, a batch a thread",
    "plain": "plain float32 forward of decoded pictures",
}
Measurement = Mapping[str, Any]


class DifferentError(RuntimeError):
    """Ours did not compute what the plain network does."""


def rows(measurements: Sequence[Measurement]) -> list[Row]:
    """Three of each network, in pictures a second."""
    made = []
    for name in dict.fromkeys(row["model"] for row in measurements):
        own = [row for row in measurements if row["model"] == name]
        for kind, peer in PEERS.items():
            target = TARGETS.get(name) if kind == "bare" else None
            mine, theirs = ([1000 / row[who] for row in own] for who in ("ours", kind))
            decode = sorted(row["decode"] for row in own)[len(own) // 2]
            note = f"{own[0]['precision']}, off by {own[0]['off']:.2%}, decoding {decode:.2f} ms of CPU a picture"
            made.append(
                at_least(f"{name}: JPEGs to features, pictures/s", mine, theirs, peer, target=target, note=note)
            )
    return made


def check(row: Measurement) -> None:
    """Raises DifferentError when the features are too far from float32's."""
    if not row["off"] <= OFF:  # nor nan
        raise DifferentError(f"{row['model']}: features off by {row['off']:.2%}; at most {OFF:.0%} is right")


def measured(count: int, rounds: int, models: Sequence[str]) -> Iterator[Measurement]:
    """Rows of benchmarks/throughput/features.py as they come; a network a process, in a rank's own variables."""
    folder, threads = pictures.whole() / "train", str(len(os.sched_getaffinity(0)))
    environ = {**os.environ, **launch.MALLOC, "OMP_NUM_THREADS": threads}
    for name in models:
        argv = [str(ours.python()), "-m", "benchmarks.throughput.features", str(folder), str(count), str(rounds), name]
        yield from json_lines(argv, environ)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--pictures", type=int, default=256)
    options = parser.parse_args()
    measurements: list[Measurement] = []
    for row in measured(options.pictures, options.rounds, options.models):
        check(row)  # now, not after the last network
        measurements.append(row)
        times = ", ".join(f"{kind} {row[kind]:.2f}" for kind in ("ours", *PEERS))
        print(f"  round {row['round'] + 1}/{options.rounds}  {row['model']:20} {times} ms a picture", flush=True)
    numbers = ("ours", *PEERS, "decode")
    runs = {
        name: [{key: row[key] for key in numbers} for row in measurements if row["model"] == name]
        for name in options.models
    }
    write(
        "train_features",
        rows(measurements),
        runs,
        machine(),
        title="From JPEGs to features, beside bare forward passes",
    )


if __name__ == "__main__":
    main()
