"""The job that a trainer gets and the outcome that it writes. Standard library only: host and peers import it."""

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
    """One training job. `data` holds the folders train, valid and optionally test, each with one folder a class."""

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
        """Writes the job to a file in its output folder; returns the file's path."""
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / "job.json"
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")
        return path

    @property
    def has_test(self) -> bool:
        """Whether `data` has a test split. Jobs that are only timed may have none."""
        return (self.data / "test").is_dir()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trainer did.

    trained: the number of trained parameters. files: `digest` of the training pictures' names. losses: each epoch's
    mean. training, validating: seconds of each epoch. steps: seconds of every step except each epoch's first. testing:
    seconds. top1: as the trainer itself measured it, on test, or on valid when there is no test split.
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
        """Writes the outcome for `read_outcome`."""
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
    """A hash of the names class/picture in any order: equal for two trainers that see the same pictures."""
    names = sorted("/".join(Path(path).parts[-2:]) for path in files)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
