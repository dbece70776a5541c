"""The peers, as the tables name them, and how one is run."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import environment, environments, newest_python
from benchmarks.training.job import Job, Outcome, read_outcome

TORCH = ("torch==2.15.0", "torchvision==0.29.2")  # the versions of docker/train.in, for every peer
COMMON = (*TORCH, "safetensors", "pillow", "numpy")
SECONDS = 3600.0  # longer than any peer's job takes here


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another trainer: its script under benchmarks/training/peers, its packages, and its properties."""

    name: str
    script: str
    packages: tuple[str, ...] = ()
    drops_last: bool = False
    fast: str = ""  # the name of its own options for speed on a CPU; empty if it has none
    note: str = ""

    def python(self) -> Path:
        """Its environment's interpreter; creates the environment if needed."""
        return environment(f"train-{self.script}", [*COMMON, *self.packages], python=newest_python())

    def ready(self) -> None:
        """Imports the script once, so that no timed run compiles bytecode. Raises RuntimeError when that fails."""
        module = f"benchmarks.training.peers.{self.script}"
        done = subprocess.run([str(self.python()), "-c", f"import {module}"], capture_output=True, text=True,
                              check=False, cwd=environments.ROOT)  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"importing {self.name} failed: {done.stderr.strip()[-800:]}")


PLAIN = Peer(
    name="plain loop",
    script="plain",
    note="torchvision's reference recipe, written anew",
)
TIMM = Peer(
    name="timm 1.0.31",
    script="timm_script",
    packages=("timm==1.0.31",),
    drops_last=True,
    fast="--amp bfloat16 --channels-last",
    note="its train script is in no package: put together from its parts in the script's way",
)
LIGHTNING = Peer(
    name="Lightning 2.6.6",
    script="lightning_trainer",
    packages=("lightning==2.6.6",),
    fast="bf16-mixed, channels_last",
)
FASTAI = Peer(
    name="fastai 2.8.12",
    script="fastai_learner",
    packages=("fastai==2.8.12",),
    drops_last=True,
    fast="channels_last",
    note="its AMP is for CUDA only, so bf16 cannot be switched on",
)
PEERS = (PLAIN, TIMM, LIGHTNING, FASTAI)


def called(one: Peer, *, fast: bool) -> str:
    """A peer's name in the table, with its options for speed if `fast`."""
    return f"{one.name}, {one.fast}" if fast and one.fast else one.name


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A job's seconds from exec to exit, and the trainer's outcome."""

    wall: float
    outcome: Outcome


def train(peer: Peer, job: Job) -> Ran:
    """Runs a peer's job. Raises RuntimeError with the end of its log when it fails."""
    python, path = peer.python(), job.write()
    command = [str(python), "-m", f"benchmarks.training.peers.{peer.script}", str(path)]
    variables = {**os.environ, "PYTHONPATH": str(environments.ROOT), "PYTHONWARNINGS": "ignore"}
    began = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=job.output, env=variables, timeout=SECONDS
    )
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{peer.name}: {(done.stderr or done.stdout).strip()[-800:]}")
    return Ran(wall=wall, outcome=read_outcome(job.output))
