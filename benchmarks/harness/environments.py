"""Virtual environments for peers and for Kennel as it ships. Nothing is installed into the environment of this host."""

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
DONE = "installed"  # written last: an environment without this file is incomplete and made again


def environment(name: str, requirements: Sequence[str], *, python: str | Path | None = None) -> Path:
    """The Python of an environment with only `requirements`, which is created if it does not exist.

    requirements: arguments of `uv pip install`, such as "litserve==0.2.19", or "-r" and a file. Changing the file's
    content makes a new environment. python: the base interpreter; None means the current one. Raises RuntimeError
    with the installer's message.
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
    """Python 3.13, as in the images, if it is installed; otherwise the current interpreter."""
    environ = {**_environ(), "PYENV_VERSION": "3.13"}  # pyenv's shim on PATH fails for versions that are not selected
    done = subprocess.run(_command("python", "find", "3.13"), capture_output=True, text=True, check=False, env=environ)
    return done.stdout.strip() if done.returncode == 0 else sys.executable


def json_lines(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Runs a command in the repository's root and yields each line of its output, parsed as a JSON object.

    Raises RuntimeError when the command fails.
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
