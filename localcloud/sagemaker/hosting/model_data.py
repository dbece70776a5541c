"""Fills the folder that is mounted into a serving container as /opt/ml/model (rule 37)."""

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.s3 import Location, Objects, in_parallel, location


class ModelDataError(Exception):
    """Model data cannot be downloaded or extracted; the message becomes FailureReason, in SageMaker's words."""


def fill(container: Mapping[str, Any], objects: Objects, target: Path) -> None:
    """Download a model container's data to `target` and extract archives. Without model data `target` stays empty.

    Raises ModelDataError.
    """
    target.mkdir(parents=True, exist_ok=True)
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    url = source["S3Uri"] if source else container.get("ModelDataUrl")
    if url is None:
        return
    archived = source is None or source["CompressionType"] == "Gzip"
    single = source is None or source["S3DataType"] == "S3Object"
    try:
        files = _download(location(url), objects, target, single=single)
    except (ClientError, BotoCoreError, OSError) as error:
        raise ModelDataError(
            f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there is '
            f"an object located at the URL and that the role passed to CreateModel may download it. ({error})"
        ) from None
    if archived:
        for file in files:
            _extract(file, target, url)


def _download(where: Location, objects: Objects, target: Path, *, single: bool) -> list[Path]:
    """Download one object, or all below a prefix with their paths below the prefix."""
    keys = [where.key] if single else [entry.key for entry in objects.list(where)]
    names = [Path(key).name if single else key.removeprefix(where.key).lstrip("/") for key in keys]
    files = [(target / name).resolve() for name in names]
    outside = [str(file) for file in files if not file.is_relative_to(target.resolve())]
    if outside or not files:
        raise OSError(f"key leads outside the model folder: {outside[0]}" if outside else "no object there")
    pairs = list(zip(keys, files, strict=True))
    in_parallel(lambda pair: objects.download(Location(bucket=where.bucket, key=pair[0]), pair[1]), pairs)
    return files


def _extract(file: Path, target: Path, url: str) -> None:
    """Extract one archive and remove it. Refuses links, devices, and entries that lead outside the folder."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                _place(archive, member, target.resolve())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ModelDataError(
            f'Failed to extract model data archive for container "container_1" from URL "{url}". Please ensure that '
            f"the object located at the URL is a valid tar.gz archive. ({error})"
        ) from None
    file.unlink()


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Extract one entry. By hand, because Debian 12's Python 3.11.2 has no extraction filters."""
    path = (target / member.name).resolve()
    if not path.is_relative_to(target):
        raise tarfile.ExtractError(f"{member.name} leads outside the model folder")
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    stream = archive.extractfile(member) if member.isfile() else None
    if stream is None:
        raise tarfile.ExtractError(f"{member.name} is neither a file nor a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with stream, path.open("wb") as copy:
        shutil.copyfileobj(stream, copy)
