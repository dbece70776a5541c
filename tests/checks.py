"""The checks of `./inv lint`: style, types, scripts, Dockerfiles. All run, even when one fails."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commands(repository: Path) -> list[list[str]]:
    """One argv for each check, beginning with the program's name."""
    packages = ("docker", "deploy")
    scripts = sorted(
        str(path.relative_to(repository)) for package in packages for path in (repository / package).rglob("*.sh")
    )
    dockerfiles = sorted(str(path.relative_to(repository)) for path in (repository / "docker").glob("*.Dockerfile"))
    return [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "."],
        ["shellcheck", "--severity=warning", "inv", ".ci/run", *scripts],
        ["hadolint", *dockerfiles],
    ]


def run(repository: Path, tools: Path) -> bool:
    """Runs all checks; whether they pass. `tools` is the folder of their programs."""
    clean = True
    for program, *arguments in commands(repository):
        print(f"== {program} {arguments[0]}", flush=True)  # noqa: T201
        clean &= subprocess.run([tools / program, *arguments], cwd=repository, check=False).returncode == 0
    return clean
