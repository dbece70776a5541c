"""The Docker engine of this machine: short commands, and a docker client that can build."""

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
    """Runs a short command; returns its exit status and output. 127: no such program. 124: timeout."""

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]: ...


class EngineError(RuntimeError):
    """The Docker engine is missing or cannot build; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """A docker client that builds with BuildKit: with its buildx plugin, or (before 23.0) in the engine."""

    client: str
    buildx: bool

    def command(self) -> list[str]:
        """The first words of a build's argv."""
        if self.buildx:
            # Attestations would turn the image into an index, which SageMaker and Lambda refuse (rules 26, 63).
            return [self.client, "buildx", "build", "--provenance=false", "--sbom=false", "--output=type=docker"]
        return [self.client, "build"]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of a build."""
        return {**inherited, "DOCKER_BUILDKIT": "1"}


def execute(command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
    """Runs `command`; returns its exit status and output. 127: no such program. 124: timeout (in seconds)."""
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
    paths = [shutil.which("docker", path=folder) for folder in path.split(os.pathsep) if folder]
    return list(dict.fromkeys(str(Path(client)) for client in paths if client))


def version(candidates: Sequence[str], run: Run = execute) -> str:
    """The version of the engine that answers; empty when none does."""
    for client in candidates:
        status, output = run([client, "version", "--format={{.Server.Version}}"])
        if status == 0 and output.strip():
            return output.strip().splitlines()[-1]
    return ""


def builder(candidates: Sequence[str], run: Run = execute) -> Builder:
    """The first client that can build with BuildKit. Raises EngineError."""
    for client in candidates:
        if run([client, "buildx", "version"])[0] == 0:
            return Builder(client=client, buildx=True)
    for client in candidates:
        status, output = run([client, "--version"])
        version = re.search(r"version (\d+)\.(\d+)", output)
        if status == 0 and version and (18, 9) <= (int(version[1]), int(version[2])) < (23, 0):
            return Builder(client=client, buildx=False)
    if not candidates:
        raise EngineError("no docker client on PATH: run `./inv engine`, or install Docker with its buildx plugin")
    raise EngineError(f"{', '.join(candidates)}: cannot build with BuildKit; install the docker buildx plugin")
