"""Unpacks an archive of pictures safely: no path out of the folder, no links, no archive bombs."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
MAX_ENTRIES = 5_000_000
FILE_BYTES = 256 * 2**20
GROWTH = 20  # pictures hardly compress: an archive that grows more holds something else
SMALL_BYTES = 2**30  # any growth is harmless below this size


class ArchiveError(ValueError):
    """The archive is broken or dangerous. The message says which archive and why."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A member of an archive. `name` is the name in the archive, `kind` is file, link or special file."""

    name: str
    kind: str
    stream: IO[bytes] | None


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def stem(path: Path) -> str:
    """The name without the archive suffix: train.tar.gz → train."""
    return next((path.name[: -len(end)] for end in SUFFIXES[::-1] if path.name.lower().endswith(end)), path.name)


def hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK


def extract(path: Path, folder: Path) -> list[tuple[str, str]]:
    """Unpacks the pictures of `path` below `folder`. Returns (name, reason) of each skipped file, without system junk.

    Raises ArchiveError for a broken archive, a path that leads out of the folder, or an archive bomb.
    """
    budget = max(SMALL_BYTES, GROWTH * path.stat().st_size)
    folder.mkdir(parents=True, exist_ok=True)
    skipped: list[tuple[str, str]] = []
    try:
        with _open(path) as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_ENTRIES:
                    raise ArchiveError(f"{path}: more than {MAX_ENTRIES:,} entries: split the archive")
                parts = _parts(entry.name, path)
                if not parts or any(hidden(part) for part in parts):
                    continue
                reason = _refusal(entry)
                if reason or entry.stream is None:
                    skipped.append(("/".join(parts), reason))
                else:
                    budget -= _write(entry.stream, folder.joinpath(*parts), budget, path)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ArchiveError(f"{path}: broken or unreadable archive: {error}; create it again") from error
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be unpacked: {error}") from error
    return skipped


@contextmanager
def _open(path: Path) -> Iterator[Iterator[Entry]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield _zip_entries(archive)
    else:
        with tarfile.open(path, mode="r|*") as tar:
            yield _tar_entries(tar)


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            yield Entry(name=info.filename, kind="link", stream=None)
            continue
        with archive.open(info) as stream:
            yield Entry(name=info.filename, kind="file", stream=stream)


def _tar_entries(tar: tarfile.TarFile) -> Iterator[Entry]:
    for member in tar:
        if member.isdir():
            continue
        kind = "file" if member.isreg() else "link" if member.issym() or member.islnk() else "special file"
        yield Entry(name=member.name, kind=kind, stream=tar.extractfile(member) if kind == "file" else None)


def _parts(name: str, archive: Path) -> tuple[str, ...]:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or any(":" in part for part in pure.parts[:1]):
        raise ArchiveError(f"{archive}: {name!r} leads out of the archive: create it again with relative paths")
    return pure.parts


def _refusal(entry: Entry) -> str:
    if entry.kind != "file":
        return f"not a plain file but a {entry.kind}"
    return "" if entry.name.lower().endswith(PICTURES) else "no picture suffix in its name"


def _write(source: IO[bytes], target: Path, budget: int, archive: Path) -> int:
    """Copies in blocks and counts the bytes, because an archive's headers may be wrong. Returns the count."""
    target.parent.mkdir(parents=True, exist_ok=True)
    limit, written = min(budget, FILE_BYTES), 0
    with target.open("wb") as stream:
        while block := source.read(2**18):
            written += len(block)
            if written > limit:
                raise ArchiveError(
                    f"{archive}: refused as an archive bomb: {target.name} unpacks to far more data than pictures hold"
                )
            stream.write(block)
    return written
