"""The pictures to train on: all starter pictures, or an even part of them when only the speed is measured."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness import environments
from starter import groceries, weights

CACHE = environments.ROOT / ".kennel" / "cache"
SPLITS = ("train", "valid", "test")


def whole() -> Path:
    """The folder of the starter pictures, downloaded if needed."""
    return groceries.fetch(CACHE)


def starting_weights() -> Path:
    """The starter weights, downloaded if needed."""
    return weights.fetch(CACHE)


def counts(folder: Path) -> dict[str, int]:
    """Pictures by split."""
    return {split: len(list((folder / split).glob("*/*.jpg"))) for split in SPLITS}


def share(name: str, sizes: Mapping[str, int]) -> Path:
    """A folder of links to `sizes[split]` pictures of each split, even over the classes; 0 omits the split."""
    source, target = whole(), environments.HOME / "pictures" / f"{name}-{'-'.join(str(sizes[s]) for s in SPLITS)}"
    for split in SPLITS:
        by_class = {path.name: sorted(path.glob("*.jpg")) for path in sorted((source / split).iterdir())}
        for picture in even(by_class, sizes[split]):
            link = target / split / picture.parent.name / picture.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(picture)
    return target


def even(by_class: Mapping[str, Sequence[Path]], count: int) -> list[Path]:
    """`count` pictures, one of each class in turn. Raises ValueError for too few pictures or fewer than classes."""
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_class.values()))
    chosen = [picture for picture in turns if picture is not None][:count]
    if len(chosen) < count or 0 < count < len(by_class):
        raise ValueError(f"cannot choose {count} pictures of {len(by_class)} classes; there are {len(chosen)}")
    return chosen
