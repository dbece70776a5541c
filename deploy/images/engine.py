"""The Docker engine of this machine: a client that can build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Run(Protocol):
    """The door for short commands: exit status and all it said. 127: no such program. 124: too slow."""

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]: ...


class EngineError(RuntimeError):
    """What a person must do about the Docker engine; says where, what and the fix."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A docker client that builds with BuildKit: by its buildx plugin, or (before 23.0) by the engine itself."""

    client: str
    buildx: bool

    def command(self) -> list[str]:
        """The start of a build's argv."""
        if self.buildx:
            # Attestations would turn the image into an index, which SageMaker and Lambda refuse (rules 26, 63).
            return [self.client, "buildx", "build", "--provenance=false", "--sbom=false", "--output=type=docker"]
        return [self.client, "build"]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment a build runs in."""
        return {**inherited, "DOCKER_BUILDKIT": "1"}


def answer(command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
    """Runs `command` to its end: exit status and all it said. 127 when there is no such program, 124 when too slow."""
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        return 127, f"{command[0]}: no such program"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]}: no answer within {timeout:g} s"
    return done.returncode, done.stdout + done.stderr


def clients(path: str) -> list[str]:
    """Every docker client on PATH, in order."""
    found = [shutil.which("docker", path=folder) for folder in path.split(os.pathsep) if folder]
    return list(dict.fromkeys(str(Path(client)) for client in found if client))


def version(candidates: Sequence[str], run: Run = answer) -> str:
    """The version of the engine that answers, or an empty string."""
    for client in candidates:
        status, said = run([client, "version", "--format={{.Server.Version}}"])
        if status == 0 and said.strip():
            return said.strip().splitlines()[-1]
    return ""


def builder(candidates: Sequence[str], run: Run = answer) -> Builder:
    """The first client that can build with BuildKit. Raises EngineError."""
    for client in candidates:
        if run([client, "buildx", "version"])[0] == 0:
            return Builder(client=client, buildx=True)
    for client in candidates:
        status, said = run([client, "--version"])
        version = re.search(r"version (\d+)\.(\d+)", said)
        if status == 0 and version and (18, 9) <= (int(version[1]), int(version[2])) < (23, 0):
            return Builder(client=client, buildx=False)
    if not candidates:
        raise EngineError("no docker client on PATH: run `./inv engine`, or install Docker with its buildx plugin")
    raise EngineError(f"{', '.join(candidates)}: cannot build with BuildKit; install the docker buildx plugin")
