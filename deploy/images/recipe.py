"""The project's images: their inputs, their tags, and their builds.

An image's tag is the hash of all of its inputs, so an unchanged image is reused rather than built, on any machine. The
build's context is a tar of exactly these files.
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
# Layers for the big packages, the most rarely changed first: pushes and pulls transfer layers at once, and a change or
# a broken connection repeats one layer only. Each is over a gigabyte. All other packages go into a last layer.
LAYERS: Mapping[ImageKind, Mapping[str, tuple[str, ...]]] = {
    "train": {
        "train-cudnn": ("nvidia-cudnn-*", "nvidia-cusparselt-*", "nvidia-nccl-*", "nvidia-nvshmem-*"),
        "train-cuda": ("nvidia-*", "cuda-*"),
        "train-triton": ("triton",),
        "train-torch": ("torch",),
    }
}


class ImageError(RuntimeError):
    """An image cannot be built; the message says what to do."""


def kind_named(name: str) -> ImageKind:
    """The image kind of a name that a user typed. Raises ImageError."""
    for kind in KINDS:
        if kind == name:
            return kind
    raise ImageError(f"{name}: unknown image; choose one of {', '.join(KINDS)}")


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a build's context."""

    name: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Build:
    """All inputs of one image. Two equal builds make the same image."""

    kind: ImageKind
    base: str
    files: tuple[File, ...]
    target: str = "runtime"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The hash of all inputs, 16 hexadecimal digits."""
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
    """An image's input files with their names in the context: sources by their path, locks and tools under build/."""
    docker = repository / "docker"
    files = [_file(docker / f"{kind}.Dockerfile", "Dockerfile"), _file(docker / "build.lock", "build/build.lock")]
    for step, lock in _locks(docker, kind, target).items():
        files += [File(name=f"build/{step}/lock", content=lock)]
        files += [_file(docker / "install.sh", f"build/{step}/install.sh")]
    for package in SOURCES[kind]:
        files += [_file(path, path.relative_to(repository).as_posix()) for path in _sources(repository / package)]
    return tuple(sorted(files, key=lambda file: file.name))


def installs(kind: ImageKind, target: str) -> tuple[str, ...]:
    """The locks that a build installs, each in a RUN of its own, so that a change of one leaves the others cached."""
    return (*LAYERS.get(kind, ()), kind, *((target,) if target == "test" else ()))


def _locks(docker: Path, kind: ImageKind, target: str) -> dict[str, bytes]:
    """The lock of each install."""
    locks = split_lock((docker / f"{kind}.lock").read_text(encoding="utf-8"), kind, LAYERS.get(kind, {}))
    return locks | ({target: (docker / f"{target}.lock").read_bytes()} if target == "test" else {})


def split_lock(lock: str, rest: str, layers: Mapping[str, tuple[str, ...]]) -> dict[str, bytes]:
    """Splits a lock by layer. A package belongs to the first layer with a matching pattern, else to `rest`."""
    parts = dict.fromkeys([*layers, rest], "")
    for entry in re.split(r"\n(?=\S)", lock.rstrip()):
        package = re.split(r"[=\[]", entry, maxsplit=1)[0]
        owner = next((name for name, patterns in layers.items() if any(fnmatch(package, p) for p in patterns)), rest)
        parts[owner] += f"{entry}\n"
    return {name: text.encode() for name, text in parts.items()}


def _sources(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _file(path: Path, name: str) -> File:
    return File(name=name, content=path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))


def context(files: Iterable[File], extra: Iterable[File] = ()) -> bytes:
    """The build's context: a tar that depends only on names, contents and modes."""
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
    """The image's labels: OCI's own, and the versions of the contract, the framework and CUDA.

    `artifact` is the source of contract/artifact.py. `revision` and `created` are of the last commit that changed an
    input, so that other commits do not change them.
    """
    values = {
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
        values["kennel.contract.version"] = contract[1]
    if kind == "train":
        values["kennel.cuda.version"] = ".".join(pinned(lock, "cuda-toolkit").split(".")[:2])
    return values


def project_version(repository: Path) -> str:
    """Kennel's version, which stands in pyproject.toml only."""
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def pinned(lock: str, package: str) -> str:
    """The version of a package in a lock. Raises ImageError for a package that the lock does not pin."""
    match = re.search(rf"^{re.escape(package)}(?:\[[^\]]*\])?==(\S+)", lock, re.MULTILINE)
    if not match:
        raise ImageError(f"{package} is not in the lock: run `./inv lock`")
    return match[1]


def command(build: Build, builder: engine.Builder, *, secrets: Mapping[str, Path], progress: str) -> list[str]:
    """The argv that builds an image from the context on standard input."""
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
    """Build arguments that the training image writes into its artifacts; a job may know its image by digest only."""
    if build.kind != "train":
        return {}
    return {
        "IMAGE": build.reference,
        "REVISION": build.labels.get("org.opencontainers.image.revision", ""),
        "VERSION": build.labels.get("kennel.version", ""),
    }
