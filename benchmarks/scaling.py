"""Scaling from one rank to two, and from one container to two.

    .venv/bin/python -m benchmarks.scaling [--rounds N] [--no-containers]

Efficiency is the speed of two ranks with one thread each, divided by twice the speed of one rank on one core. One rank
with two threads is measured as well, because it is the other way to use two cores. The frozen case is the features pass
of ResNet-50. Full fine-tuning is measured for ResNet-50 as shipped (224 px, a batch of 32) and for ResNet-18 at 128 px,
whose short steps show the cost of exchanging gradients most clearly. The same processes also measure that cost: the two
ranks train their parts of the batch at the same time, without DistributedDataParallel.

The containers run the training image with one core each and SageMaker's mounts, on their own network; ResNet-50 only.

Writes results/scaling.json. Five rounds take about fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import Row, at_least, column, environment, interleaved, machine, newest_python, write
from benchmarks.harness.environments import ROOT
from benchmarks.throughput import launching
from benchmarks.throughput.cases import ALONE, Case
from deploy.images.builder import ImageBuilder
from starter import groceries

CASES = (
    Case(name="features, ResNet-50, 224 px", model="resnet50", frozen=True, crop=224, batch=32, pictures=256),
    Case(name="fine-tuning, ResNet-50, 224 px", model="resnet50", frozen=False, crop=224, batch=32, pictures=64),
    Case(name="fine-tuning, ResNet-18, 128 px", model="resnet18", frozen=False, crop=128, batch=32, pictures=128),
)
TARGETS = {CASES[0].name: 0.9, CASES[1].name: 0.85, CASES[2].name: 0.7}
ONE, WIDE, TWO = "1 rank, 1 core", "1 rank, 2 threads", "2 ranks, 1 thread each"
BOX, BOXES = "1 container, 1 core", "2 containers, 1 core each"
Measured = Mapping[str, float]


def rows(runs: Mapping[str, Sequence[Measured]], cases: Sequence[Case] = CASES) -> list[Row]:
    """For ranks, then containers: efficiency and the cost of exchanging gradients. Then one rank with two threads."""
    made = []
    for more, one in ((TWO, ONE), (BOXES, BOX)):
        if more not in runs:
            continue
        measured = [case for case in cases if case.name in runs[more][0]]
        for case in measured:
            twice = [2 * speed for speed in column(runs[one], case.name)]
            ours = column(runs[more], case.name)
            what = f"{case.name}: {more}, pictures/s"
            made.append(at_least(what, ours, twice, f"twice {one}", target=TARGETS.get(case.name)))
        for case in (case for case in measured if not case.frozen):
            alone = column(runs[more], case.name + ALONE)
            what = f"{case.name}: {more}, pictures/s"
            note = "what is missing to 1 is communication's share"
            made.append(at_least(what, column(runs[more], case.name), alone, "without exchanging gradients", note=note))
    for case in cases if WIDE in runs else ():
        ours, wide = column(runs[TWO], case.name), column(runs[WIDE], case.name)
        made.append(at_least(f"{case.name}: {TWO}, pictures/s", ours, wide, WIDE))
    return made


def subset(source: Path, target: Path, each: int) -> Path:
    """Copies the first `each` training pictures of every class to `target`, in class folders."""
    for folder in sorted(path for path in (source / "train").iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        for picture in sorted(folder.iterdir())[:each]:
            shutil.copyfile(picture, target / folder.name / picture.name)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-containers", action="store_true", help="ranks on this machine only")
    options = parser.parse_args()
    python = environment("train", ["-r", str(ROOT / "docker" / "train.in")], python=newest_python())
    with tempfile.TemporaryDirectory(prefix="kennel-pictures-") as folder:
        pictures = subset(groceries.fetch(ROOT / ".kennel" / "cache"), Path(folder) / "pictures", 24)
        local = partial(launching.local_ranks, python, pictures, CASES)
        candidates: dict[str, Callable[[], Measured]] = {
            ONE: partial(local, ranks=1, cores=1),
            WIDE: partial(local, ranks=1, cores=2),
            TWO: partial(local, ranks=2, cores=2),
        }
        if not options.no_containers:
            inside = partial(launching.containers, ImageBuilder(repository=ROOT).build("train"), pictures, CASES[:2])
            candidates |= {BOX: partial(inside, count=1), BOXES: partial(inside, count=2)}
        runs = interleaved(candidates, options.rounds)
    write("scaling", rows(runs), runs, machine(), title="From one to two")


if __name__ == "__main__":
    main()
