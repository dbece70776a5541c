"""Builds images, cold or after a one-line change: ours as `./inv build` does, the peers' with the same Docker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.environments import HOME, ROOT
from deploy.images.builder import ImageBuilder
from deploy.images.compression import LEVEL
from deploy.images.recipe import SOURCES, File, ImageKind, context, pinned

HERE = Path(__file__).parent
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A hand-written image. `pins`: packages with our lock's versions; `more`: packages that only the peer needs."""

    name: str
    kind: ImageKind
    script: str
    pins: tuple[str, ...]
    more: tuple[str, ...] = ()

    def requirements(self) -> str:
        lock = (ROOT / "docker" / f"{self.kind}.lock").read_text(encoding="utf-8")
        return "\n".join([*(f"{package}=={pinned(lock, package)}" for package in self.pins), *self.more]) + "\n"


PEERS = (
    Peer(
        name="base + awslambdaric + boto3 + handler", kind="lambda", script="../functions/plain.py",
        pins=("awslambdaric",), more=("boto3",),
    ),
    Peer(
        name="base + litserve + onnxruntime, no torch", kind="serve", script="scripts/serve_litserve.py",
        pins=("onnxruntime", "numpy", "pillow"), more=("litserve==0.2.19", "python-multipart"),
    ),
    Peer(
        name="base + fastapi + uvicorn + onnxruntime", kind="serve", script="scripts/serve_fastapi.py",
        pins=("onnxruntime", "numpy", "pillow"), more=("fastapi", "uvicorn"),
    ),
    Peer(
        name="base + torch + torchvision + script", kind="train", script="scripts/train.py",
        pins=("torch", "torchvision", "pillow"),
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Made:
    """A built image and the seconds that its build took."""

    reference: str
    seconds: float

    @property
    def identity(self) -> str:
        return _docker("image", "inspect", "--format={{.Id}}", self.reference).strip()

    @property
    def layers(self) -> list[str]:
        answer = _docker("image", "inspect", "--format={{json .RootFS.Layers}}", self.reference)
        return list(json.loads(answer))

    @property
    def size(self) -> int:
        """Bytes, unpacked."""
        return int(_docker("image", "inspect", "--format={{.Size}}", self.reference))

    def packed(self) -> int:
        """Bytes of all layers compressed with gzip, as in a registry."""
        from isal import isal_zlib

        deflate, total = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, 31), 0
        with subprocess.Popen(["docker", "save", self.reference], stdout=subprocess.PIPE) as saved:
            while saved.stdout and (chunk := saved.stdout.read(CHUNK)):
                total += len(deflate.compress(chunk))
        if saved.returncode:
            raise RuntimeError(f"docker save {self.reference} ended with {saved.returncode}")
        return total + len(deflate.flush())


class Ours:
    """Builds one of our images from a copy of its sources, so that the working tree is not changed."""

    def __init__(self, kind: ImageKind) -> None:
        self.kind = kind
        self._tree = HOME / "images" / kind
        shutil.rmtree(self._tree, ignore_errors=True)
        for name in ("docker", "contract", *SOURCES[kind]):
            shutil.copytree(
                ROOT / name, self._tree / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", self._tree)
        cache = self._tree / ".kennel" / "cache"
        cache.parent.mkdir()
        cache.symlink_to(ROOT / ".kennel" / "cache")
        self._builder = ImageBuilder(repository=self._tree, say=lambda _: None, progress=False)

    def cold(self) -> Made:
        """Rebuilds every layer except the base, by changing the installer that each of them mounts."""
        return self._built(self._tree / "docker" / "install.sh")

    def changed(self) -> Made:
        """Builds after one line of the package's source has changed."""
        return self._built(self._tree / SOURCES[self.kind][-1] / "__init__.py")

    def _built(self, touched: Path) -> Made:
        with touched.open("a", encoding="utf-8") as file:
            file.write(f"# {uuid.uuid4()}\n")
        began = time.monotonic()
        reference = self._builder.build(self.kind)
        return Made(reference=reference, seconds=time.monotonic() - began)


class Theirs:
    """Builds a peer's image."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._builder = ImageBuilder(repository=ROOT, say=lambda _: None, progress=False)
        self._installer = (HERE / "install.sh").read_bytes()
        self._script = (HERE / peer.script).resolve().read_bytes()
        self._uv = Path(sys.executable).with_name("uv").read_bytes()
        self._base = self._builder.base()

    def cold(self) -> Made:
        self._installer += f"# {uuid.uuid4()}\n".encode()
        return self._built()

    def changed(self) -> Made:
        self._script += f"# {uuid.uuid4()}\n".encode()
        return self._built()

    def _built(self) -> Made:
        files = [
            File(name="Dockerfile", content=(HERE / "peer.Dockerfile").read_bytes()),
            File(name="build/install.sh", content=self._installer),
            File(name="build/requirements.txt", content=self.peer.requirements().encode()),
            File(name="build/uv", content=self._uv, executable=True),
            File(name="main.py", content=self._script),
        ]
        reference = f"kennel-benchmark/{self.peer.kind}:{uuid.uuid4().hex[:12]}"
        builder = self._builder.builder
        argv = [*builder.command(), "--progress=plain", f"--build-arg=BASE={self._base}", f"--tag={reference}"]
        argv += [f"--secret=id={name},src={path}" for name, path in self._builder.secrets().items()]
        began = time.monotonic()
        done = subprocess.run(
            [*argv, "-"], input=context(files), capture_output=True, env=builder.environment(os.environ), check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.peer.name}: build failed: {done.stderr.decode()[-2000:]}")
        return Made(reference=reference, seconds=time.monotonic() - began)


def cache_entries() -> set[str]:
    """The ids of the layers in Docker's build cache, without cache mounts such as the downloads."""
    usage = _docker("system", "df", "--verbose", "--format={{json .}}")
    kept = json.loads(usage).get("BuildCache") or []
    return {str(entry["ID"]).rstrip("*") for entry in kept if entry.get("CacheType") != "exec.cachemount"}


def tidy(made: Sequence[Made], before: set[str]) -> None:
    """Removes these images, and the entries added to the build cache since `before`."""
    for image in made:  # by id, because our newest image also has the plain name
        subprocess.run(["docker", "rmi", "--force", image.identity], capture_output=True, check=False)
    left = len(cache_entries() - before)
    while left:  # an entry can only be removed after those that depend on it
        for entry in cache_entries() - before:
            prune = ["docker", "builder", "prune", "--all", "--force", f"--filter=id={entry}"]
            subprocess.run(prune, capture_output=True, check=False)
        left, had = len(cache_entries() - before), left
        if left == had:
            break
    if left:
        print(f"  {left} entries of the build cache remain, because other images use them", flush=True)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments[:2])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
