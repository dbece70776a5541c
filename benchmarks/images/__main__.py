"""Sizes and build times of our images beside the smallest honest peer image for the same job.

    .venv/bin/python -m benchmarks.images [--rounds N] [--images lambda serve train]

Sizes are those that Docker reports, and those of all layers compressed as `./inv push` does. A cold build makes every
layer except the base; for both, downloaded packages come from the mounted cache. "A changed line" adds a comment to a
source file and builds as `./inv build` does, everything counted. The peers use the same base and the same installer,
are compiled to bytecode, and hold the fewest packages that do the job. They have none of Kennel's extras (checks, page,
metrics, golden pictures, second engine). The images are built in turns; afterwards they and their build cache are
removed.

Takes 3 minutes for lambda and serve, and 13 more and 18 GB of disk for train. Writes results/images.json,
.runs.json and .svg.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Mapping, Sequence

from benchmarks.harness import Row, alone, at_most, column, interleaved, machine, not_measured, write
from benchmarks.harness.environments import ROOT
from benchmarks.harness.rounds import Measured
from benchmarks.images.builds import PEERS, Made, Ours, Theirs, cache_entries, tidy
from deploy.images.builder import ImageBuilder
from deploy.images.recipe import ImageKind, kind_named

MB = 1e6
LIMIT = 10.0  # seconds, after a changed line
USUAL = "base + CPU-only torch + fastapi"
WHY = "no CPU-only torch with a torchvision that fits it is to be had here; the CUDA build is what train's peer holds"


class Turn:
    """One candidate's turns. A turn removes the images of the last one: five pairs of training images fill a disk."""

    def __init__(self, candidate: Ours | Theirs, before: set[str]) -> None:
        self._candidate, self._before = candidate, before
        self.made: list[Made] = []

    def __call__(self) -> Measured:
        """Seconds of a cold build and of a build after a changed line, and how many layers the change alters."""
        self.tidy()
        self.made.append(cold := self._candidate.cold())
        self.made.append(changed := self._candidate.changed())
        altered = [one for one, other in zip(cold.layers, changed.layers, strict=True) if one != other]
        return {
            "cold s": cold.seconds, "changed s": changed.seconds,
            "layers": len(cold.layers), "altered": len(altered), "MB": cold.size / MB,
        }  # fmt: skip

    def tidy(self) -> None:
        if self.made:
            tidy(self.made, self._before)
            self.made.clear()


def measure(kind: ImageKind, rounds: int) -> dict[str, list[Measured]]:
    """Each candidate's results by round. Removes everything it built, even after an error."""
    before = cache_entries()
    turns = {"ours": Turn(Ours(kind), before)}
    turns |= {peer.name: Turn(Theirs(peer), before) for peer in PEERS if peer.kind == kind}
    try:
        runs = interleaved(turns, rounds)
        for name, turn in turns.items():
            packed = turn.made[0].packed() / MB
            runs[name] = [{**each, "packed MB": packed} for each in runs[name]]
        return runs
    finally:
        ImageBuilder(repository=ROOT, say=lambda _: None).build(kind)  # gives the plain name back to the real image
        for turn in turns.values():
            turn.tidy()


def rows(kind: ImageKind, runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    ours = runs["ours"]
    table = [
        at_most(
            f"{kind}: build after a changed line, s", column(ours, "changed s"), [LIMIT] * len(ours),
            f"the {LIMIT:g} s asked for", target=1.0,
        ),
        alone(
            f"{kind}: layers that a changed line alters", column(ours, "altered"),
            note=f"of {ours[0]['layers']:.0f}: the sources and their bytecode",
        ),
    ]  # fmt: skip
    for name, theirs in runs.items():
        if name == "ours":
            continue
        for what, key in (
            ("size, MB", "MB"), ("size as a registry holds it, MB", "packed MB"),
            ("cold build, s", "cold s"), ("build after a changed line, s", "changed s"),
        ):  # fmt: skip
            table.append(at_most(f"{kind}: {what}", column(ours, key), column(theirs, key), name))
    return table + ([not_measured("serve: size, MB", USUAL, WHY)] if kind == "serve" else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", nargs="+", default=["lambda", "serve", "train"], choices=["lambda", "serve", "train"]
    )
    options = parser.parse_args()
    command = ["docker", "version", "--format={{.Server.Version}}"]
    engine = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    table: list[Row] = []
    runs: dict[str, list[Measured]] = {}
    for name in options.images:
        kind = kind_named(name)
        print(kind, flush=True)
        measured = measure(kind, options.rounds)
        table += rows(kind, measured)
        runs |= {f"{kind}, {who}": each for who, each in measured.items()}
    write("images", table, runs, machine({"Docker": engine}), title="Images beside the smallest for the same job")


if __name__ == "__main__":
    main()
