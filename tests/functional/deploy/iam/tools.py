"""Installs the linters of the IAM proof in an environment of their own: parliament, cloudsplaining, policy_sentry."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("requirements.lock")
CACHE = Path(__file__).resolve().parents[4] / ".kennel" / "cache" / "iam"


class Tools:
    """Where the tools lie, after they were installed."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def python(self) -> Path:
        """An interpreter that imports parliament and cloudsplaining."""
        return self.home / "python" / "bin" / "python"


def install() -> Tools:
    """The tools of the lock: installed when it has changed, else found."""
    home = CACHE / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    tools = Tools(home)
    if not (home / "done").is_file():
        shutil.rmtree(CACHE, ignore_errors=True)
        _install(tools)
        (home / "done").touch()
    return tools


def _install(tools: Tools) -> None:
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, tools.home / "python"], check=True)
    sync = ("pip", "sync", "--quiet", "--require-hashes", "--python", str(tools.python))
    subprocess.run([*uv, *sync, str(LOCK)], check=True)
