"""An image in the local engine: its configuration and its layers, each a tar whose hash the configuration names.

There are two ways to read it. Root on Linux reads an overlay2 engine's store directly: a layer then streams from the
files that it consists of. Everywhere else `docker save` first writes the image to a file. The reader compares each
layer with its hash, so that it notices a store of another layout and takes the second way.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from deploy.errors import PushError
from deploy.images.engine import Run, execute
from deploy.images.manifest import digest_of

PIECE = 1 << 20  # bytes


class Layers(Protocol):
    """An image's configuration and layers."""

    @property
    def config(self) -> bytes:
        """The exact bytes of the configuration; their hash is the image's id."""
        ...

    def layer(self, number: int) -> Iterator[bytes]:
        """A layer's tar in pieces; 0 is the lowest layer. Raises OSError or ValueError for an unreadable layer."""
        ...


def diff_ids(config: bytes) -> tuple[str, ...]:
    """The hashes of an image's uncompressed layers, the lowest first."""
    return tuple(json.loads(config)["rootfs"]["diff_ids"])


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The engine's images. `run` executes short commands; `docker save` writes into the folder `scratch`."""

    run: Run = execute
    scratch: Path | None = None

    def inspect(self, reference: str) -> Mapping[str, Any]:
        """The output of docker image inspect. Raises PushError for an image that the engine does not have."""
        status, output = self.run(["docker", "image", "inspect", reference])
        if status:
            raise PushError(f"{reference}: the Docker engine has no such image; run ./inv build")
        image: Mapping[str, Any] = json.loads(output)[0]
        return image

    @contextmanager
    def ways(self, reference: str) -> Iterator[Iterator[Layers]]:
        """The ways to read an image, the faster one first."""
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="kennel-save-") as folder:
            yield self._ways(reference, Path(folder))

    def _ways(self, reference: str, folder: Path) -> Iterator[Layers]:
        status, output = self.run(["docker", "info", "--format={{.Driver}} {{.DockerRootDir}}"])
        driver, _, root = output.strip().partition(" ")
        if status == 0 and driver == "overlay2":
            store = stored_image(Path(root), str(self.inspect(reference)["Id"]))
            if store is not None:
                yield store
        saved = folder / "image.tar"
        status, output = self.run(["docker", "save", "--output", str(saved), reference], timeout=3600)
        if status:
            raise PushError(f"{reference}: docker save failed: {output.strip()[-500:]}")
        yield SavedImage(path=saved)


# ---------------------------------------------------------------------------------------------- the engine's store


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image in an overlay2 store: `splits` are the layers' tar-split files, `folders` the folders of their files."""

    config: bytes
    splits: Sequence[Path]
    folders: Sequence[Path]

    def layer(self, number: int) -> Iterator[bytes]:
        with gzip.open(self.splits[number], "rt", encoding="utf-8") as entries:
            yield from assembled((json.loads(line) for line in entries), self.folders[number])


def stored_image(root: Path, identity: str) -> StoredImage | None:
    """The image in the store at `root` (docker info's DockerRootDir); None when it is missing or unreadable."""
    images = root / "image" / "overlay2"
    try:
        config = (images / "imagedb" / "content" / "sha256" / identity.removeprefix("sha256:")).read_bytes()
        chains = [images / "layerdb" / "sha256" / chain.removeprefix("sha256:") for chain in chain_ids(config)]
        folders = [root / "overlay2" / (chain / "cache-id").read_text() / "diff" for chain in chains]
        readable = all(os.access(chain / "tar-split.json.gz", os.R_OK) for chain in chains)
    except OSError:
        return None
    if digest_of(config) != identity or not readable:
        return None
    return StoredImage(config=config, splits=[chain / "tar-split.json.gz" for chain in chains], folders=folders)


def chain_ids(config: bytes) -> tuple[str, ...]:
    """The names of an image's layers in the store: each hashes the name of the layer below and its own hash."""
    chains: list[str] = []
    for own in diff_ids(config):
        chains.append(digest_of(f"{chains[-1]} {own}".encode()) if chains else own)
    return tuple(chains)


def assembled(entries: Iterator[Mapping[str, Any]], folder: Path) -> Iterator[bytes]:
    """A layer's tar from its tar-split entries: literal bytes (type 2), and files by name (type 1)."""
    for entry in entries:
        if entry["type"] == 2:
            yield base64.b64decode(entry["payload"])
        elif entry.get("size"):
            name = os.fsdecode(base64.b64decode(entry["name_raw"])) if "name_raw" in entry else entry["name"]
            yield from _file(folder / name.lstrip("/"))


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


# ---------------------------------------------------------------------------------------------- docker save


@dataclass(frozen=True, kw_only=True)
class SavedImage:
    """An image in a file that `docker save` wrote."""

    path: Path

    @property
    def config(self) -> bytes:
        with tarfile.open(self.path) as tar:
            return _member(tar, self._manifest(tar)["Config"]).read()

    def layer(self, number: int) -> Iterator[bytes]:
        with tarfile.open(self.path) as tar, _member(tar, self._manifest(tar)["Layers"][number]) as file:
            yield from _plain(file)

    def _manifest(self, tar: tarfile.TarFile) -> Mapping[str, Any]:
        manifests: Sequence[Mapping[str, Any]] = json.load(_member(tar, "manifest.json"))
        return manifests[0]


def _member(tar: tarfile.TarFile, name: str) -> BinaryIO:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"docker save wrote no file {name}")
    return file  # type: ignore[return-value]  # a reader of bytes


def _plain(file: BinaryIO) -> Iterator[bytes]:
    """A layer's plain bytes; newer engines save layers compressed."""
    is_packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    reader: Any = gzip.GzipFile(fileobj=file) if is_packed else file
    while piece := reader.read(PIECE):
        yield piece


def hashed(pieces: Iterator[bytes]) -> str:
    """The hash by which an image names a layer."""
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return f"sha256:{total.hexdigest()}"
