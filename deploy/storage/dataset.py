"""Pictures to S3: what is there, what differs, and only that is sent."""

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
    """What a push does: names to send and to delete, and how many stay."""

    send: tuple[str, ...]
    delete: tuple[str, ...]
    same: int


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What lies in S3: where, how many objects, and the name of their content."""

    uri: str
    count: int
    hash: str


def files(source: Path) -> dict[str, Path]:
    """What of a folder or archive goes to S3, by name. Raises DataError for a layout that cannot train."""
    if source.is_file():
        if not source.name.endswith(ARCHIVES):
            raise DataError(f"{source}: neither a folder nor one of {', '.join(ARCHIVES)}")
        return {source.name: source}
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give the folder that holds train, valid and test")
    found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if _is_data(path, source)}
    check(found, where=str(source))
    return found


def check(names: Iterable[str], *, where: str) -> None:
    """Raises DataError unless the names are split/class/picture or class/picture with two classes or more."""
    pictures = [name.split("/") for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not pictures:
        raise DataError(f"{where}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    train = [parts for parts in pictures if parts[0] in TRAIN_NAMES]
    classes = {parts[1] for parts in train if len(parts) > 2} if train else {p[0] for p in pictures if len(p) > 1}
    if len(classes) < 2:
        shown = ", ".join(sorted(classes)) or "none"
        raise DataError(f"{where}: two classes or more are needed, found {shown}; lay out as train/<class>/<picture>")


def push(
    source: Mapping[str, Path], call: Call, *, bucket: str, prefix: str, progress: Progress = lambda *_: None
) -> Pushed:
    """Makes `prefix` of the bucket hold just the source's files; checksums are checked on arrival.

    Broken off, the next run goes on: what has arrived is not sent again. `progress` hears (sent, to send) in bytes.
    """
    local = {name: digest(path) for name, path in source.items()}
    todo = compare(local, listing(call, bucket=bucket, prefix=prefix))
    sizes = {name: source[name].stat().st_size for name in todo.send}
    meter = _Meter(total=sum(sizes.values()), progress=progress)
    small = [name for name in todo.send if not parts(sizes[name])]
    with ThreadPoolExecutor(WORKERS) as pool:
        deque(finished([pool.submit(_send, call, bucket, f"{prefix}{name}", source[name], meter) for name in small]), 0)
    for name in todo.send:
        if parts(sizes[name]):  # its parts fill the line by themselves
            _send(call, bucket, f"{prefix}{name}", source[name], meter)
    for batch in _batches(todo.delete):
        call(deletion(bucket, [f"{prefix}{name}" for name in batch]))
    return describe(local, bucket=bucket, prefix=prefix)


def compare(local: Mapping[str, str], there: Mapping[str, str]) -> Difference:
    """What to do so that `there` becomes `local`: both are name → ETag."""
    send = tuple(name for name, found in local.items() if there.get(name) != found)
    return Difference(send=send, delete=tuple(name for name in there if name not in local), same=len(local) - len(send))


def listing(call: Call, *, bucket: str, prefix: str) -> dict[str, str]:
    """What lies under a prefix: name relative to it → ETag, which in our buckets names the content (upload.etag)."""
    request = s3("ListObjectsV2", Bucket=bucket, Prefix=prefix)
    found = pages(call, request, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
    return {item["Key"].removeprefix(prefix): item["ETag"].strip('"') for item in found}


def describe(content: Mapping[str, str], *, bucket: str, prefix: str) -> Pushed:
    return Pushed(
        uri=f"s3://{bucket}/{prefix}", count=len(content), hash=content_hash(sorted(content.items()), length=16)
    )


def digest(path: Path) -> str:
    """The name of a file's content: the ETag that S3 will give it."""
    return etag(path)


def deletion(bucket: str, keys: list[str]) -> Request:
    objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    return s3("DeleteObjects", Bucket=bucket, Delete=objects)


@dataclass(kw_only=True)
class _Meter:
    """Adds up what many threads have sent."""

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
