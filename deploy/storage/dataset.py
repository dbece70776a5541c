"""Pushes pictures to S3: lists the objects there, compares, and sends only the files that differ."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.aws.client import pages
from deploy.aws.requests import s3
from deploy.aws.s3_upload import etag, finished, parts, upload
from deploy.errors import DataError
from deploy.values import Call, Request, content_hash

TRAIN_NAMES = ("train", "training")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
WORKERS = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a push does: the names to send and to delete, and how many files are the same."""

    send: tuple[str, ...]
    delete: tuple[str, ...]
    same: int


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """Pictures in S3: their URI, the number of objects, and a hash of their content."""

    uri: str
    count: int
    hash: str


def files(source: Path) -> dict[str, Path]:
    """The files of a folder or archive that go to S3, by name. Raises DataError for a layout that cannot be trained."""
    if source.is_file():
        if not source.name.endswith(ARCHIVES):
            raise DataError(f"{source}: not a folder and not an archive ({', '.join(ARCHIVES)})")
        return {source.name: source}
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give the folder that holds train, valid and test")
    paths = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if _is_data(path, source)}
    check(paths, where=str(source))
    return paths


def check(names: Iterable[str], *, where: str) -> None:
    """Raises DataError unless the names are split/class/picture or class/picture with two classes or more."""
    pictures = [name.split("/") for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not pictures:
        raise DataError(f"{where}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    train = [parts for parts in pictures if parts[0] in TRAIN_NAMES]
    classes = {parts[1] for parts in train if len(parts) > 2} if train else {p[0] for p in pictures if len(p) > 1}
    if len(classes) < 2:
        shown = ", ".join(sorted(classes)) or "none"
        raise DataError(f"{where}: training needs two or more classes, found {shown}; use train/<class>/<picture>")


def push(
    source: Mapping[str, Path], call: Call, *, bucket: str, prefix: str, progress: Progress = lambda *_: None
) -> Pushed:
    """Makes `prefix` of the bucket hold exactly the source's files. S3 checks every checksum.

    After an interruption the next run sends only what is missing. `progress` gets (sent, to send) in bytes.
    """
    local = {name: digest(path) for name, path in source.items()}
    todo = compare(local, listing(call, bucket=bucket, prefix=prefix))
    sizes = {name: source[name].stat().st_size for name in todo.send}
    meter = _Meter(total=sum(sizes.values()), progress=progress)
    small = [name for name in todo.send if not parts(sizes[name])]
    with ThreadPoolExecutor(WORKERS) as pool:
        deque(finished([pool.submit(_send, call, bucket, f"{prefix}{name}", source[name], meter) for name in small]), 0)
    for name in todo.send:
        if parts(sizes[name]):  # its parts use the whole bandwidth
            _send(call, bucket, f"{prefix}{name}", source[name], meter)
    for batch in _batches(todo.delete):
        call(deletion(bucket, [f"{prefix}{name}" for name in batch]))
    return describe(local, bucket=bucket, prefix=prefix)


def compare(local: Mapping[str, str], remote: Mapping[str, str]) -> Difference:
    """What to do so that `remote` becomes `local`. Both are name → ETag."""
    send = tuple(name for name, tag in local.items() if remote.get(name) != tag)
    delete = tuple(name for name in remote if name not in local)
    return Difference(send=send, delete=delete, same=len(local) - len(send))


def listing(call: Call, *, bucket: str, prefix: str) -> dict[str, str]:
    """The objects under a prefix: name relative to it → ETag, which in our buckets is a hash of the content
    (s3_upload.etag)."""
    request = s3("ListObjectsV2", Bucket=bucket, Prefix=prefix)
    items = pages(call, request, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
    return {item["Key"].removeprefix(prefix): item["ETag"].strip('"') for item in items}


def describe(content: Mapping[str, str], *, bucket: str, prefix: str) -> Pushed:
    return Pushed(
        uri=f"s3://{bucket}/{prefix}", count=len(content), hash=content_hash(sorted(content.items()), length=16)
    )


def digest(path: Path) -> str:
    """The hash of a file's content: the ETag that S3 will give it."""
    return etag(path)


def deletion(bucket: str, keys: list[str]) -> Request:
    objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    return s3("DeleteObjects", Bucket=bucket, Delete=objects)


@dataclass(kw_only=True)
class _Meter:
    """Adds up the bytes that many threads have sent."""

    total: int
    progress: Progress
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        with self.lock:
            self.sent += count
            self.progress(self.sent, self.total)


def _send(call: Call, bucket: str, key: str, path: Path, meter: _Meter) -> None:
    upload(call, bucket=bucket, key=key, path=path, sent=meter.add)


def _is_data(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.is_file() and not hidden


def _batches(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), 1000):
        yield names[start : start + 1000]
