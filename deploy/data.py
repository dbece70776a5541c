"""Pictures to S3: what is there, what differs, and only that is sent."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from deploy.aws import pages
from deploy.errors import DataError
from deploy.models import Call, Request, content_hash

TRAIN_NAMES = ("train", "training")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
LIMIT = 5 * 1024**3  # of one PutObject
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
        if source.stat().st_size > LIMIT:
            raise DataError(f"{source}: larger than 5 GiB; unpack it and push the folder")
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

    Broken off, the next run goes on: what has arrived is not sent again. `progress` hears (sent, to send).
    """
    local = {name: digest(path) for name, path in source.items()}
    todo = compare(local, listing(call, bucket=bucket, prefix=prefix))
    with ThreadPoolExecutor(WORKERS) as pool:
        sent = [pool.submit(_send, call, bucket, f"{prefix}{name}", source[name]) for name in todo.send]
        _finish(sent, progress)
    for batch in _batches(todo.delete):
        call(deletion(bucket, [f"{prefix}{name}" for name in batch]))
    return describe(local, bucket=bucket, prefix=prefix)


def compare(local: Mapping[str, str], there: Mapping[str, str]) -> Difference:
    """What to do so that `there` becomes `local`: both are name → MD5."""
    send = tuple(name for name, found in local.items() if there.get(name) != found)
    return Difference(send=send, delete=tuple(name for name in there if name not in local), same=len(local) - len(send))


def listing(call: Call, *, bucket: str, prefix: str) -> dict[str, str]:
    """What lies under a prefix: name relative to it → ETag, which for our single, AES256 uploads is the MD5."""
    request = Request(service="s3", operation="ListObjectsV2", params={"Bucket": bucket, "Prefix": prefix})
    found = pages(call, request, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
    return {item["Key"].removeprefix(prefix): item["ETag"].strip('"') for item in found}


def describe(content: Mapping[str, str], *, bucket: str, prefix: str) -> Pushed:
    return Pushed(
        uri=f"s3://{bucket}/{prefix}", count=len(content), hash=content_hash(sorted(content.items()), length=16)
    )


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def deletion(bucket: str, keys: list[str]) -> Request:
    objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    return Request(service="s3", operation="DeleteObjects", params={"Bucket": bucket, "Delete": objects})


def _send(call: Call, bucket: str, key: str, path: Path) -> None:
    with path.open("rb") as stream:
        checksum = base64.b64encode(hashlib.file_digest(stream, "sha256").digest()).decode()
        stream.seek(0)
        body = {"Body": stream, "ChecksumSHA256": checksum}
        call(Request(service="s3", operation="PutObject", params={"Bucket": bucket, "Key": key, **body}))


def _finish(sent: list[Future[None]], progress: Progress) -> None:
    """Waits for all; the first failure, or Ctrl-C, keeps what has not begun from being sent."""
    try:
        for count, done in enumerate(as_completed(sent), start=1):
            done.result()
            progress(count, len(sent))
    except BaseException:
        for each in sent:
            each.cancel()
        raise


def _is_data(path: Path, source: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return path.is_file() and not hidden


def _batches(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), 1000):
        yield names[start : start + 1000]
