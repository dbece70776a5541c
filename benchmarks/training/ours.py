"""Runs our trainer as a user without Docker does: `python -m train` in an environment with docker/train.lock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import environment, environments, newest_python

LOCK = environments.ROOT / "docker" / "train.lock"
SECONDS = 900.0
NUMBER = re.compile(r"(\w+)=([-+.\deE]+)")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run: seconds from exec to exit, metrics by epoch, closing metrics, pictures by split, the model's folder."""

    wall: float
    epochs: tuple[Mapping[str, float], ...]
    closing: Mapping[str, float]
    counts: Mapping[str, int]
    model: Path

    @property
    def losses(self) -> tuple[float, ...]:
        return tuple(epoch["train_loss"] for epoch in self.epochs)


def python() -> Path:
    """The interpreter of an environment with the training image's packages."""
    return environment("train-ours", ["-r", str(LOCK)], python=newest_python())


def ready() -> None:
    """Imports our trainer once, so that no timed run compiles bytecode."""
    subprocess.run([str(python()), "-c", "import train.__main__, train.worker"], check=True, cwd=environments.ROOT)


def train(data: Path, weights: Path, output: Path, **settings: object) -> Trained:
    """One whole run with default settings, except `settings` by name. Raises RuntimeError when it fails."""
    shutil.rmtree(output, ignore_errors=True)  # the trainer would resume from a checkpoint
    output.mkdir(parents=True)
    flags = [f"--{name.replace('_', '-')}={str(value).lower()}" for name, value in settings.items()]
    command = [str(python()), "-m", "train", f"--data={data}", f"--output={output}", f"--weights={weights}", *flags]
    began = time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=environments.ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        timeout=SECONDS,
    )
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"python -m train: {done.stderr.strip()[-800:]}")
    epochs, closing = read_metrics(done.stdout)
    return Trained(wall=wall, epochs=epochs, closing=closing, counts=read_counts(done.stderr), model=output / "model")


def read_metrics(output: str) -> tuple[tuple[Mapping[str, float], ...], Mapping[str, float]]:
    """Reads the metric lines (rule 18): those of the epochs, and the last one without an epoch."""
    lines = [line for line in output.splitlines() if line.startswith("kennel ")]
    rows = [{name: float(value) for name, value in NUMBER.findall(line)} for line in lines]
    closing = [row for row in rows if "epoch" not in row]
    return tuple(row for row in rows if "epoch" in row), closing[-1] if closing else {}


def read_counts(output: str) -> Mapping[str, int]:
    """Pictures by split, from the line that the scan prints."""
    match = re.search(r"(\d+) train, (\d+) valid, (\d+) test", output)
    return dict(zip(("train", "valid", "test"), map(int, match.groups()), strict=True)) if match else {}
