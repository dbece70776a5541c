"""From JPEGs to features: the single pass through the frozen backbone, beside forward passes on decoded pictures.

    .venv/bin/python -m benchmarks.train_features [--rounds N] [--models NAME…] [--pictures N]

Ours is the product's pass from files, with the environment variables, precision and layout that it chooses here. The
bare forward pass is the same folded network, in the same precision and layout, on pictures already decoded and cast in
memory. On a CPU, decoding and the network compete for the same cores, so decoding always costs time; only waiting can
be avoided. Threads that share a batch wait for each other at each layer, so the product computes one batch in each
thread; that is also measured without decoding. The same run checks the features against the plain float32 network's.

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
OFF = 0.05  # the largest allowed distance of the features from float32's, as a share
PEERS = {
    "bare": "bare forward of decoded pictures",
    "abreast": "bare forward, a batch a thread",
    "plain": "plain float32 forward of decoded pictures",
}
Measurement = Mapping[str, Any]


class DifferentError(RuntimeError):
    """Our features differ from the plain network's."""


def rows(measurements: Sequence[Measurement]) -> list[Row]:
    """Three rows for each network, in pictures a second."""
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
    if not row["off"] <= OFF:  # also true for NaN
        raise DifferentError(f"{row['model']}: features differ by {row['off']:.2%}; at most {OFF:.0%} is allowed")


def measured(count: int, rounds: int, models: Sequence[str]) -> Iterator[Measurement]:
    """Rows of benchmarks/throughput/features.py, from one process for each network, with a rank's variables."""
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
        check(row)  # fail at once, not after the last network
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
