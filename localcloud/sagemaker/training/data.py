"""A training job's files: channels and checkpoints down from S3, checkpoints and artifacts up again."""

import gzip
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.exceptions import ClientError

from localcloud.errors import ApiError
from localcloud.s3 import Location, Objects, S3Object, in_parallel, is_denied
from localcloud.sagemaker.s3_input import manifest_keys, relative
from localcloud.sagemaker.training.request import Channel


@dataclass(frozen=True, kw_only=True)
class Source:
    """A channel and its objects in S3. Their paths are relative to the channel's `source`."""

    channel: Channel
    entries: tuple[S3Object, ...]


def locate(channel: Channel, objects: Objects, *, region: str, role: str) -> Source:
    """List a channel's S3 objects. Raises ApiError, in AWS's words, when there are none."""
    if channel.source is None:
        if not Path(channel.local or "").is_dir():
            raise ApiError("ValidationException", f"Channel {channel.name}: no folder {channel.local} on this machine")
        return Source(channel=channel, entries=())
    where = channel.source
    problem = None if objects.bucket_exists(where.bucket) else "The specified bucket does not exist"
    if problem is None and channel.data_type == "ManifestFile":
        return _manifest(channel, objects)
    entries = () if problem else _entries(where, objects, role=role)
    if entries:
        return Source(channel=channel, entries=entries)
    raise ApiError(
        "ValidationException",
        f'No S3 objects found under S3 URL "{where.uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({region}), that objects exist under that S3 prefix, "
        f'and that the role "{role}" has "s3:ListBucket" permissions on bucket "{where.bucket}".'
        + (f" Error message from S3: {problem}" if problem else ""),
    )


def _entries(where: Location, objects: Objects, *, role: str) -> tuple[S3Object, ...]:
    """The objects under a prefix. Raises ApiError when the role may not list them."""
    try:
        return tuple(objects.list(where))
    except ClientError as error:
        if not is_denied(error):
            raise
        raise ApiError(
            "ValidationException",
            f'Unauthorized to List objects under S3 URL "{where.uri}" given in input data source. Please ensure that '
            f'the role "{role}" has "s3:ListBucket" permissions on bucket "{where.bucket}". Error message from S3: '
            f"{error.response['Error'].get('Message', '')}",
        ) from None


def _manifest(channel: Channel, objects: Objects) -> Source:
    if channel.source is None:
        raise ValueError("a manifest lies in S3")
    text = objects.get(channel.source)
    if text is None:
        raise ApiError("ValidationException", f"Channel {channel.name}: no manifest at {channel.source.uri}")
    prefix, names = manifest_keys(text, channel.name)
    entries = tuple(S3Object(key=prefix.key + name, size=0, etag="") for name in names)
    return Source(channel=replace(channel, source=prefix), entries=entries)


def download(sources: Sequence[Source], roots: Sequence[Path], objects: Objects) -> None:
    """Fill <root>/input/data/<channel> of every host. Data that all hosts share is downloaded once and copied."""
    for source in sources:
        channel = source.channel
        folders = [root / "input" / "data" / channel.name for root in roots]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        if channel.source is None:
            continue  # mounted
        shared = channel.distribution != "ShardedByS3Key"
        for number, folder in enumerate(folders):
            if shared and number > 0:
                shutil.copytree(folders[0], folder, dirs_exist_ok=True)
                continue
            paths = assign(channel, source.entries, number, len(folders))
            _fetch(objects, channel.source.bucket, {key: folder / path for key, path in paths.items()})


def assign(channel: Channel, entries: Sequence[S3Object], host: int, host_count: int) -> dict[str, str]:
    """The objects of one host: key → path inside the channel's folder. A ShardedByS3Key channel is split by key."""
    if channel.source is None:
        raise ValueError(f"channel {channel.name} is not an S3 channel")
    keys = sorted(entry.key for entry in entries)
    if channel.distribution == "ShardedByS3Key":
        keys = keys[host::host_count]
    return {key: relative(channel.source.key, key) for key in keys}


def _fetch(objects: Objects, bucket: str, paths: dict[str, Path]) -> None:
    def fetch(pair: tuple[str, Path]) -> None:
        where = Location(bucket=bucket, key=pair[0])
        try:
            objects.download(where, pair[1])
        except ClientError as error:
            if not is_denied(error):
                raise
            # SageMaker's words, as aws/amazon-sagemaker-examples#4384 quotes them.
            message = f"Data download failed:Unable to download object {where.uri} (AccessDenied: Access Denied)"
            raise ApiError("ClientError", message) from None

    in_parallel(fetch, paths.items())


class Checkpoints:
    """Keeps S3 in step with every host's checkpoint folder (rule 15).

    `restore` runs once, at the start. After that `sync` uploads local writes and deletes in S3 what was deleted
    locally. Files that others put into S3 meanwhile are not downloaded.
    """

    def __init__(self, where: Location, folders: Sequence[Path], objects: Objects) -> None:
        self._where = Location(bucket=where.bucket, key=where.key.rstrip("/") + "/" if where.key.strip("/") else "")
        self._folders, self._objects = folders, objects
        self._known: list[dict[str, tuple[int, int]]] = [{} for _ in folders]

    def restore(self) -> int:
        """Download the checkpoints into every host's folder; return the number of files."""
        entries = self._objects.list(self._where)
        for number, folder in enumerate(self._folders):
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(
                self._objects,
                self._where.bucket,
                {entry.key: folder / relative(self._where.key, entry.key) for entry in entries},
            )
            self._known[number] = _snapshot(folder)
        return len(entries)

    def sync(self) -> None:
        """Upload changed files and delete removed ones. A file that vanishes meanwhile waits for the next call."""
        current = [_snapshot(folder) for folder in self._folders]
        everywhere = {path for files in current for path in files}
        for number, files in enumerate(current):
            for path, stamp in files.items():
                if self._known[number].get(path) == stamp:
                    continue
                if self._upload(self._folders[number] / path, path):
                    self._known[number][path] = stamp
            for path in [path for path in self._known[number] if path not in files]:
                del self._known[number][path]
                if path not in everywhere:
                    self._objects.delete(self._where / path)

    def _upload(self, source: Path, path: str) -> bool:
        """Upload a copy of one file, because the job may be writing to it; False when the file is gone."""
        copy = source.parents[len(Path(path).parts)] / ".checkpoint-upload"
        try:
            shutil.copyfile(source, copy)
        except OSError:
            return False
        self._objects.upload(copy, self._where / path)
        copy.unlink()
        return True


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    stamps = {}
    for path in _files(folder):
        try:
            stat = path.stat()
        except OSError:
            continue
        stamps[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return stamps


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in sorted(names) if (Path(root) / name).is_file())


def merged(folders: Sequence[Path]) -> dict[str, Path]:
    """Path inside → file, over all hosts' folders (rule 14). The first host wins where names are equal."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in _files(folder):
            files.setdefault(path.relative_to(folder).as_posix(), path)
    return dict(sorted(files.items()))


def upload_artifacts(
    files: dict[str, Path], where: Location, *, name: str, compress: bool, scratch: Path, objects: Objects
) -> str:
    """Upload files as <where>/<name>.tar.gz, or uncompressed under <where>/<name>/; return the S3 address."""
    if not compress:
        for inside, path in files.items():
            objects.upload(path, where / name / inside)
        return (where / name).uri + "/"
    archive = scratch / f"{name}.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for inside, path in files.items():
            tar.add(path, arcname=inside, recursive=False, filter=_anonymous)
    target = where / f"{name}.tar.gz"
    objects.upload(archive, target)
    archive.unlink()
    return target.uri


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def folders_of(roots: Iterable[Path], *parts: str) -> list[Path]:
    """The same folder of every host."""
    return [root.joinpath(*parts) for root in roots]
