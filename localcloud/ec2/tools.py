"""What an instance's container gets from this host: the AWS CLI, the docker client, the engine's socket."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from localcloud.containers.engine import Mount
from localcloud.errors import LocalcloudError

HERE = Path(__file__).resolve().parent
LOCK = HERE / "machine" / "aws.lock"
TARGET = "/opt/localcloud"


def mounts(cache: Path) -> tuple[Mount, ...]:
    """The tools' mounts, the AWS CLI installed into `cache` when it is not there yet. Raises LocalcloudError."""
    return (
        Mount(source=str(HERE / "machine"), target=f"{TARGET}/machine", read_only=True),
        Mount(source=str(aws_cli(cache)), target=f"{TARGET}/aws", read_only=True),
        Mount(source=docker_client(), target=f"{TARGET}/docker", read_only=True),
        Mount(source=socket(), target="/var/run/docker.sock"),
    )


def aws_cli(cache: Path) -> Path:
    """The folder of the AWS CLI's modules. They are Python, so any image's Python runs them."""
    folder = cache / f"aws-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if folder.exists():
        return folder
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    where = ("--target", str(draft), "--python-version=3.13", "--python-platform=x86_64-manylinux_2_28")
    command = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", *where)
    done = subprocess.run([*command, "-r", str(LOCK)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalcloudError(f"cannot fetch the AWS CLI that instances need:\n{done.stderr[-1000:]}")
    try:
        draft.rename(folder)
    except OSError:  # another instance was quicker
        shutil.rmtree(draft)
    return folder


def docker_client() -> str:
    """A docker client for Linux. Raises LocalcloudError where the host has none to lend."""
    found = shutil.which("docker")
    path = Path(found).resolve() if found else None
    if path is None or path.read_bytes()[:4] != b"\x7fELF":
        raise LocalcloudError("instances need a docker client for Linux, and none is on this host's PATH")
    return str(path)


def socket() -> str:
    """Where the engine listens. Raises LocalcloudError when that is not on this host."""
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not where.startswith("unix://"):
        raise LocalcloudError(f"DOCKER_HOST={where}: instances need an engine on this host (unix://)")
    return where.removeprefix("unix://")
