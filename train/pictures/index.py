"""Scans pictures in class folders into an Index: the class and split of each file, and the skipped files."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from contract.preprocess import PictureError, open_picture
from train.pictures import archive
from train.pictures.archive import ArchiveError

ALIASES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
SPLITS = tuple(ALIASES)
MIN_TRAIN = 2  # pictures of each class
CHECK_SIDE = 32  # decodes a JPEG to its end at 1/8 scale: finds broken files at a quarter of the cost


class DataError(ValueError):
    """The pictures do not allow a training. The message says where, what and the fix."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture's file and the number of its class in Index.labels."""

    path: Path
    label: int


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that is not used: its name below the data's root, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """The scanned pictures. `test` may be empty. `sha256` covers names, classes, splits and contents but no folders, so
    it is the same on every host that has the same data. `notes` are remarks for the user."""

    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    sha256: str = ""
    notes: tuple[str, ...] = ()


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
        notes=tuple(values["notes"]),
        **splits,
    )


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A checked file of a class folder. `problem` is empty for a readable picture."""

    split: str
    label: str
    name: str  # below the split's folder
    path: Path
    digest: str
    problem: str


def scan(
    sources: Mapping[str, Path],
    *,
    extract_to: Path,
    max_bad_share: float = 0.05,
    valid_share: float = 0.15,
    seed: int = 0,
    threads: int = 1,
) -> Index:
    """Finds the splits in the channels `sources`, reads every picture once, and skips unreadable ones.

    Without a validation split, uses `valid_share` of each class's training pictures, chosen by `seed`. Everything is
    sorted, so the same pictures give the same Index on each host. Raises DataError.
    """
    try:
        splits, skipped_in_archives = locate(sources, extract_to)
    except ArchiveError as error:
        raise DataError(str(error)) from error
    labels = _labels(splits)
    files = [row for split, folder in splits.items() for row in _files(split, folder, labels)]
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        checked = list(pool.map(lambda row: _check(*row), files, chunksize=1))
    skipped = [Skipped(name=f"{row.split}/{row.name}", reason=row.problem) for row in checked if row.problem]
    skipped += [Skipped(name=name, reason=reason) for name, reason in skipped_in_archives]
    _judge_share(skipped, len(checked) + len(skipped_in_archives), max_bad_share)
    good = [row for row in checked if not row.problem]
    _judge_counts(good, labels, splits)
    notes = list(_leaks(good))
    samples = {split: _samples(good, split, labels) for split in SPLITS}
    if "valid" not in splits:
        notes.append(
            f"no valid split: validating on {valid_share:.0%} of each class's training pictures (valid_share, seed)"
        )
        samples["train"], samples["valid"] = divide(samples["train"], valid_share, seed)
    return Index(labels=labels, skipped=tuple(skipped), sha256=_digest(good), notes=tuple(notes), **samples)


def locate(sources: Mapping[str, Path], extract_to: Path) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Unpacks archives and finds the folder of each split. Also returns (name, reason) of files skipped in archives.

    A single channel holds train/, valid/ and test/, or class folders for training only. Of several channels each is
    one split. Raises DataError.
    """
    if not sources:
        raise DataError("no channel holds pictures: add one named training (or train, valid and test)")
    folders: dict[str, Path] = {}
    skipped_in_archives: list[tuple[str, str]] = []
    for channel, source in sorted(sources.items()):
        folder, more = _unpacked(channel, source, extract_to)
        skipped_in_archives += more
        parts = _split_folders(folder)
        if not parts:
            parts = {"train" if len(sources) == 1 else _split_of(channel): folder}
        double = sorted(set(parts) & set(folders))
        if double:
            raise DataError(f"channel {channel!r}: the {double[0]} split is already in {folders[double[0]]}: keep one")
        folders |= parts
    if "train" not in folders:
        where = ", ".join(map(str, folders.values()))
        raise DataError(f"no training pictures: only {', '.join(sorted(folders))} in {where}; add a train folder")
    return {split: _unwrap(folders[split], in_split=True) for split in SPLITS if split in folders}, skipped_in_archives


def divide(samples: Sequence[Sample], share: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Splits each class by `share`, with at least one picture on either side. The same seed gives the same split."""
    dealer = random.Random(seed)  # noqa: S311 - no secret
    kept: list[Sample] = []
    taken: list[Sample] = []
    for label in sorted({sample.label for sample in samples}):
        own = [sample for sample in samples if sample.label == label]
        count = min(len(own) - 1, max(1, round(len(own) * share)))
        chosen = set(dealer.sample(range(len(own)), count))
        kept += [sample for at, sample in enumerate(own) if at not in chosen]
        taken += [sample for at, sample in enumerate(own) if at in chosen]
    return tuple(kept), tuple(taken)


def _unpacked(channel: str, source: Path, extract_to: Path) -> tuple[Path, list[tuple[str, str]]]:
    """A channel's folder. If it is an archive or a folder of archives only: the folder they are unpacked to."""
    if not source.exists():
        raise DataError(f"channel {channel!r}: {source} does not exist; is the folder mounted?")
    archives = (
        [source] if archive.is_archive(source) else [path for path in _visible(source) if archive.is_archive(path)]
    )
    if not archives or (source.is_dir() and any(path.is_dir() for path in _visible(source))):
        if not source.is_dir():
            raise DataError(
                f"channel {channel!r}: {source} is neither a folder nor one of {', '.join(archive.SUFFIXES)}"
            )
        return _unwrap(source), []
    target = extract_to / channel
    skipped_in_archives = []
    for path in archives:  # train.zip and test.zip: each is a split
        split = next((name for name, names in ALIASES.items() if archive.stem(path).lower() in names), "")
        alone = len(archives) == 1
        skipped_in_archives += archive.extract(path, target if alone else target / (split or archive.stem(path)))
    return _unwrap(target), skipped_in_archives


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders train, valid and test (or an alias) in `folder`. Empty without train, unless valid and test exist."""
    splits: dict[str, Path] = {}
    for path in _visible(folder):
        split = next((name for name, names in ALIASES.items() if path.name.lower() in names), "")
        if split and path.is_dir():
            if split in splits:
                raise DataError(f"{folder}: both {splits[split].name} and {path.name} are a {split} split: keep one")
            splits[split] = path
    return splits if "train" in splits or ("valid" in splits and "test" in splits) else {}


def _split_of(channel: str) -> str:
    for split, names in ALIASES.items():
        if channel in names or (channel == "data" and split == "train"):
            return split
    valid = ", ".join(["data", *(name for names in ALIASES.values() for name in names)])
    raise DataError(f"unknown channel {channel!r}: choose one of {valid}, weights")


def _unwrap(folder: Path, *, in_split: bool = False) -> Path:
    """Skips outer folders that hold only one folder of folders, as archives often have."""
    while True:
        inside = _visible(folder)
        if len(inside) != 1 or not inside[0].is_dir() or not any(path.is_dir() for path in _visible(inside[0])):
            return folder
        if not in_split and inside[0].name.lower() in ALIASES["train"] and not _split_folders(inside[0]):
            return folder  # the train split itself
        folder = inside[0]


def _labels(splits: Mapping[str, Path]) -> tuple[str, ...]:
    """The class folders of train, sorted. Raises DataError if another split has others or there are fewer than two."""
    classes = {split: {path.name for path in _visible(folder) if path.is_dir()} for split, folder in splits.items()}
    labels = tuple(sorted(classes["train"]))
    if len(labels) < 2:
        raise DataError(
            f"{splits['train']}: {len(labels)} class folder(s); at least two are needed, each with its own pictures"
        )
    for split, names in classes.items():
        missing, extra = sorted(set(labels) - names), sorted(names - set(labels))
        if missing or extra:
            parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has {_some(extra)} which train lacks"] * bool(
                extra
            )
            raise DataError(f"{splits[split]}: its classes differ from those of train: {' and '.join(parts)}")
    return labels


def _files(split: str, folder: Path, labels: Sequence[str]) -> Iterator[tuple[str, str, Path, Path]]:
    """(split, label, folder of the split, file) of every visible file below the class folders, sorted."""
    for label in labels:
        for base, folders, names in os.walk(folder / label):
            folders[:] = sorted(name for name in folders if not archive.hidden(name))
            for name in sorted(names):
                if not archive.hidden(name):
                    yield split, label, folder, Path(base) / name


def _check(split: str, label: str, folder: Path, path: Path) -> Checked:
    digest, problem = "", ""
    try:
        size = path.stat().st_size
        if size == 0:
            problem = "empty: 0 bytes"
        elif size > archive.FILE_BYTES:
            problem = f"huge: {size / 2**20:.0f} MB"
        else:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            open_picture(content, shorter_side=CHECK_SIDE)
    except PictureError as error:
        problem = f"{error.kind}: {error}"
    except OSError as error:
        problem = f"unreadable: {error.strerror or error}"
    name = path.relative_to(folder).as_posix()
    return Checked(split=split, label=label, name=name, path=path, digest=digest, problem=problem)


def _judge_share(skipped: Sequence[Skipped], total: int, max_bad_share: float) -> None:
    if total and len(skipped) / total > max_bad_share:
        examples = "; ".join(f"{row.name} ({row.reason})" for row in skipped[:5])
        more = " …" if len(skipped) > 5 else ""
        raise DataError(
            f"{len(skipped)} of {total} files cannot be used ({len(skipped) / total:.1%}, more than "
            f"max_bad_share={max_bad_share:g}): {examples}{more}. Fix them or raise max_bad_share"
        )


def _judge_counts(good: Sequence[Checked], labels: Sequence[str], splits: Mapping[str, Path]) -> None:
    counts = Counter((row.split, row.label) for row in good)
    for split, folder in splits.items():
        empty = [label for label in labels if counts[split, label] == 0]
        if empty:
            raise DataError(
                f"{folder}: no readable picture of {_some(empty)}; add some, or remove the class from every split"
            )
    few = [label for label in labels if counts["train", label] < MIN_TRAIN]
    if few:
        raise DataError(f"{splits['train']}: fewer than {MIN_TRAIN} pictures of {_some(few)}: add some")


def _leaks(good: Sequence[Checked]) -> Iterator[str]:
    """A warning for each split that holds training pictures."""
    known = {row.digest for row in good if row.split == "train"}
    for split in ("valid", "test"):
        twice = sum(row.split == split and row.digest in known for row in good)
        if twice:
            yield f"warning: {twice} pictures of {split} are also in train, byte for byte: {split} results are too good"


def _samples(good: Sequence[Checked], split: str, labels: Sequence[str]) -> tuple[Sample, ...]:
    numbers = {label: number for number, label in enumerate(labels)}
    return tuple(Sample(path=row.path, label=numbers[row.label]) for row in good if row.split == split)


def _digest(good: Sequence[Checked]) -> str:
    total = hashlib.sha256()
    for row in sorted(good, key=lambda row: (row.split, row.name)):
        total.update(f"{row.split}/{row.name}\0{row.digest}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not archive.hidden(path.name)) if folder.is_dir() else []


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
