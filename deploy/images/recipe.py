"""The project's images: what goes in, the tag that follows from it, and the build.

An image's tag is the hash of everything that goes in, so an unchanged image is found again rather than built, on any
machine. The build's context is a tar made here from exactly those files.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from deploy.images import engine

ImageKind = Literal["train", "serve", "lambda"]
KINDS: tuple[ImageKind, ...] = ("serve", "lambda", "train")  # the quickest to build first
SOURCES: Mapping[ImageKind, tuple[str, ...]] = {
    "train": ("contract", "train"),
    "serve": ("contract", "serve"),
    "lambda": ("lambda_container",),
}
FRAMEWORKS: Mapping[ImageKind, str] = {"train": "torch", "serve": "onnxruntime", "lambda": "awslambdaric"}
PLATFORM = "linux/amd64"
# Layers of their own for what is big, each over a gigabyte and the one that changes most rarely first: a push or a pull
# takes them side by side, and one that breaks or changes is not all of it. What no pattern names goes into the last.
LAYERS: Mapping[ImageKind, Mapping[str, tuple[str, ...]]] = {
    "train": {
        "train-cudnn": ("nvidia-cudnn-*", "nvidia-cusparselt-*", "nvidia-nccl-*", "nvidia-nvshmem-*"),
        "train-cuda": ("nvidia-*", "cuda-*"),
        "train-triton": ("triton",),
        "train-torch": ("torch",),
    }
}


class ImageError(RuntimeError):
    """An image that cannot be made; says where, what and the fix."""


def kind_named(name: str) -> ImageKind:
    """The kind of image that a person named. Raises ImageError."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise ImageError(f"no image is called {name!r}: choose from {', '.join(KINDS)}")


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a build's context."""

    name: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Build:
    """Everything that decides one image. Two equal builds make the same image."""

    kind: ImageKind
    base: str
    files: tuple[File, ...]
    target: str = "runtime"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Hash of all that goes in, 16 hexadecimal digits."""
        total = hashlib.sha256(f"{self.kind} {self.target} {self.base} {PLATFORM}\n".encode())
        for file in sorted(self.files, key=lambda each: each.name):
            total.update(f"{file.name} {int(file.executable)} {hashlib.sha256(file.content).hexdigest()}\n".encode())
        return total.hexdigest()[:16]

    @property
    def reference(self) -> str:
        """The image's full name."""
        suffix = "" if self.target == "runtime" else f"-{self.target}"
        return f"kennel/{self.kind}{suffix}:{self.tag}"


def inputs(repository: Path, kind: ImageKind, *, target: str = "runtime") -> tuple[File, ...]:
    """The files that go into an image, in the context's names: sources as they stand, locks and tools under build/."""
    docker = repository / "docker"
    files = [_file(docker / f"{kind}.Dockerfile", "Dockerfile"), _file(docker / "build.lock", "build/build.lock")]
    for step, lock in _locks(docker, kind, target).items():
        files += [File(name=f"build/{step}/lock", content=lock)]
        files += [_file(docker / "install.sh", f"build/{step}/install.sh")]
    for package in SOURCES[kind]:
        files += [_file(path, path.relative_to(repository).as_posix()) for path in _sources(repository / package)]
    return tuple(sorted(files, key=lambda file: file.name))


def installs(kind: ImageKind, target: str) -> tuple[str, ...]:
    """The locks that a build installs, one RUN and folder each, so that a change of one leaves the others cached."""
    return (*LAYERS.get(kind, ()), kind, *((target,) if target == "test" else ()))


def _locks(docker: Path, kind: ImageKind, target: str) -> dict[str, bytes]:
    """Each install's lock."""
    found = parted((docker / f"{kind}.lock").read_text(encoding="utf-8"), kind, LAYERS.get(kind, {}))
    return found | ({target: (docker / f"{target}.lock").read_bytes()} if target == "test" else {})


def parted(lock: str, rest: str, layers: Mapping[str, tuple[str, ...]]) -> dict[str, bytes]:
    """A lock cut into those of its layers; a package belongs to the first layer that names it, else to `rest`."""
    found = dict.fromkeys([*layers, rest], "")
    for entry in re.split(r"\n(?=\S)", lock.rstrip()):
        package = re.split(r"[=\[]", entry, maxsplit=1)[0]
        owner = next((name for name, patterns in layers.items() if any(fnmatch(package, p) for p in patterns)), rest)
        found[owner] += f"{entry}\n"
    return {name: text.encode() for name, text in found.items()}


def _sources(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _file(path: Path, name: str) -> File:
    return File(name=name, content=path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))


def context(files: Iterable[File], extra: Iterable[File] = ()) -> bytes:
    """The build's context as a tar that depends on names, contents and modes alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted([*files, *extra], key=lambda each: each.name):
            entry = tarfile.TarInfo(file.name)
            entry.size, entry.mode = len(file.content), 0o755 if file.executable else 0o644
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def labels(
    kind: ImageKind, lock: str, artifact: str, *, version: str, tag: str, source: str, revision: str, created: str
) -> dict[str, str]:
    """The image's labels: OCI's, the contract's version, the framework's and CUDA's.

    `artifact` is the source of contract/artifact.py. `revision` and `created` belong to the last commit that changed
    what goes in, so that they do not change with other commits.
    """
    found = {
        "org.opencontainers.image.title": f"kennel {kind}",
        "org.opencontainers.image.source": source,
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.version": tag,
        "org.opencontainers.image.created": created,
        "kennel.version": version,
        "kennel.framework": FRAMEWORKS[kind],
        "kennel.framework.version": pinned(lock, FRAMEWORKS[kind]),
    }
    contract = re.search(r"^FORMAT_VERSION = (\d+)$", artifact, re.MULTILINE)
    if contract and "contract" in SOURCES[kind]:
        found["kennel.contract.version"] = contract[1]
    if kind == "train":
        found["kennel.cuda.version"] = ".".join(pinned(lock, "cuda-toolkit").split(".")[:2])
    return found


def project_version(repository: Path) -> str:
    """Kennel's version, which stands in pyproject.toml only."""
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def pinned(lock: str, package: str) -> str:
    """The version that a lock pins. Raises ImageError."""
    match = re.search(rf"^{re.escape(package)}(?:\[[^\]]*\])?==(\S+)", lock, re.MULTILINE)
    if not match:
        raise ImageError(f"{package} is not in the lock: run `./inv lock`")
    return match[1]


def command(build: Build, builder: engine.Builder, *, secrets: Mapping[str, Path], progress: str) -> list[str]:
    """The argv that builds an image from a context on standard input."""
    return [
        *builder.command(),
        f"--progress={progress}",
        f"--platform={PLATFORM}",
        f"--target={build.target}",
        f"--tag={build.reference}",
        f"--build-arg=BASE={build.base}",
        *(f"--build-arg={name}={value}" for name, value in _provenance(build).items()),
        *(f"--label={name}={value}" for name, value in sorted(build.labels.items())),
        *(f"--secret=id={name},src={path}" for name, path in sorted(secrets.items())),
        "-",
    ]


def _provenance(build: Build) -> dict[str, str]:
    """What the training image writes into its artifacts; a job may name the image by its digest instead."""
    if build.kind != "train":
        return {}
    return {
        "IMAGE": build.reference,
        "REVISION": build.labels.get("org.opencontainers.image.revision", ""),
        "VERSION": build.labels.get("kennel.version", ""),
    }
