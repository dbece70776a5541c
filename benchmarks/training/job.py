"""What a trainer is asked to do, and what it says of it. Standard library only: host and peers both read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OUTCOME, MODEL = "outcome.json", "model.pt"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training. `data` holds train, valid and perhaps test, each with a folder a class."""

    data: Path
    weights: Path
    output: Path
    epochs: int
    frozen: bool
    rate: float
    batch: int = 32
    workers: int = 2
    seed: int = 0
    resize: int = 256
    crop: int = 224
    fast: bool = False  # the trainer's own options for bf16 and channels_last

    def write(self) -> Path:
        """The job's file, in its own output folder."""
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / "job.json"
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")
        return path

    @property
    def has_test(self) -> bool:
        """False for a folder that is only there to be timed."""
        return (self.data / "test").is_dir()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trainer did. Seconds by an epoch; `steps` holds the seconds of all steps but the very first.

    trained: parameters that change. files: `digest` of the training pictures' names. losses: the mean of each epoch.
    top1: as the trainer itself saw it, on test where there is one, else on valid.
    """

    trained: int
    files: str
    losses: tuple[float, ...]
    training: tuple[float, ...]
    validating: tuple[float, ...]
    steps: tuple[float, ...]
    testing: float
    top1: float

    def write(self, folder: Path) -> None:
        """Leaves it where `read_outcome` looks."""
        (folder / OUTCOME).write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_job(path: Path) -> Job:
    """The job in a file that `Job.write` wrote."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Job(**{**values, **{name: Path(values[name]) for name in ("data", "weights", "output")}})


def read_outcome(folder: Path) -> Outcome:
    """The outcome in a job's output folder."""
    values: dict[str, Any] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Outcome(**{**values, **lists})


def digest(files: Iterable[Path | str]) -> str:
    """Names class/picture whatever the order: equal for two trainers that see the same pictures."""
    names = sorted("/".join(Path(path).parts[-2:]) for path in files)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
