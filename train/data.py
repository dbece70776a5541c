"""Pictures in class folders → an Index: which file is which class in which split, and what had to be left out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


class DataError(ValueError):
    """Pictures that cannot be trained on; says where, what and the fix."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture's file and the index of its class in Index.labels."""

    path: Path
    label: int


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that was left out, by its name below the data's root, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """The scanned data. `test` may be empty. `sha256` covers names, classes, splits and contents: equal data on two
    hosts have equal sums, wherever they lie."""

    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    sha256: str = ""


def write_index(index: Index, path: Path) -> None:
    path.write_text(json.dumps(asdict(index), default=str), encoding="utf-8")


def read_index(path: Path) -> Index:
    values = json.loads(path.read_text(encoding="utf-8"))
    splits = {
        name: tuple(Sample(path=Path(row["path"]), label=row["label"]) for row in values[name])
        for name in ("train", "valid", "test")
    }
    return Index(
        labels=tuple(values["labels"]),
        skipped=tuple(Skipped(**row) for row in values["skipped"]),
        sha256=values["sha256"],
        **splits,
    )
