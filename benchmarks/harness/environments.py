"""Environments of their own for peers, and for ours as it ships: made by package name, never in the product's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".kennel" / "benchmarks"
DONE = "installed"  # written last: without it an environment is made anew


def environment(name: str, requirements: Sequence[str], *, python: str | Path | None = None) -> Path:
    """The Python of an environment with just `requirements`, made when it is not there yet.

    requirements: what `uv pip install` takes, such as "litserve==0.2.19", or "-r" and a file, whose content counts.
    python: the interpreter to make it of; this one when nothing is said. Raises RuntimeError, in the installer's words.
    """
    interpreter = str(python or sys.executable)
    folder = HOME / "environments" / f"{name}-{_key(interpreter, requirements)}"
    executable = folder / "bin" / "python"
    if (folder / DONE).is_file():
        return executable
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"  installing {name}: {' '.join(requirements)}", flush=True)
    _uv("venv", "--python", interpreter, str(folder))
    _uv("pip", "install", "--python", str(executable), *requirements)
    (folder / DONE).write_text("\n".join(requirements), encoding="utf-8")
    return executable


def newest_python() -> str:
    """The interpreter of the images' version, 3.13, where there is one, else this one."""
    environ = {**_environ(), "PYENV_VERSION": "3.13"}  # pyenv's stand-in on PATH fails for versions not chosen
    done = subprocess.run(_command("python", "find", "3.13"), capture_output=True, text=True, check=False, env=environ)
    return done.stdout.strip() if done.returncode == 0 else sys.executable


def json_lines(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """What a command run in the repository writes, a JSON object a line, as it comes.

    Raises RuntimeError when it fails.
    """
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with exit code {process.returncode}")


def _key(interpreter: str, requirements: Sequence[str]) -> str:
    parts = [interpreter, *requirements]
    parts += [path.read_text(encoding="utf-8") for path in map(Path, requirements) if path.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _uv(*arguments: str) -> None:
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, check=False, env=_environ(), cwd=ROOT)
    if done.returncode != 0:
        raise RuntimeError(f"uv {' '.join(arguments[:2])} failed: {done.stderr.strip()[-2000:]}")


def _command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("uv")), *arguments]


def _environ() -> dict[str, str]:
    return {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
