"""The images' sizes and build times beside the smallest honest peer image for the same job.

    .venv/bin/python -m benchmarks.images [--rounds N] [--images lambda serve train]

Sizes are the engine's, and those of all layers as `./inv push` packs them. "Cold" makes every layer but the base anew;
packages that were fetched before come from the mounted download cache, for both alike, and the base is there. "A
changed line" is a comment more in a source, built as `./inv build` does, everything counted. Peers stand on the same
base, are installed by the same installer and compiled, and hold the fewest packages that do the job: nothing of
Kennel's that they lack (checks, page, metrics, golden pictures, second engine) is theirs to carry. Contestants take
turns; the images and what the engine keeps of their builds are removed.

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
    """One contestant's turns. Its images stay until its next turn, no longer: five pairs for training fill a disk."""

    def __init__(self, candidate: Ours | Theirs, before: set[str]) -> None:
        self._candidate, self._before = candidate, before
        self.made: list[Made] = []

    def __call__(self) -> Measured:
        """Seconds of a cold build and of the next after a changed line, and how many layers that alters."""
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
    """By contestant, each round; nothing that was built is left, whatever happens."""
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
        ImageBuilder(repository=ROOT, say=lambda _: None).build(kind)  # the plain name is the real one's again
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
