"""What this host mounts into an instance's container: the AWS CLI, the docker client, the engine's socket."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from localcloud.containers.engine import Mount
from localcloud.errors import LocalcloudError

FOLDER = Path(__file__).resolve().parent
LOCK = FOLDER / "machine" / "aws.lock"
TARGET = "/opt/localcloud"


def mounts(cache: Path) -> tuple[Mount, ...]:
    """The mounts of all tools. Installs the AWS CLI into `cache` at the first call. Raises LocalcloudError."""
    return (
        Mount(source=str(FOLDER / "machine"), target=f"{TARGET}/machine", read_only=True),
        Mount(source=str(aws_cli(cache)), target=f"{TARGET}/aws", read_only=True),
        Mount(source=docker_client(), target=f"{TARGET}/docker", read_only=True),
        Mount(source=engine_socket(), target="/var/run/docker.sock"),
    )


def aws_cli(cache: Path) -> Path:
    """The folder of the AWS CLI's Python modules, which any image's Python runs."""
    folder = cache / f"aws-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if folder.exists():
        return folder
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
    options = ("--target", str(temporary), "--python-version=3.13", "--python-platform=x86_64-manylinux_2_28")
    command = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", *options)
    done = subprocess.run([*command, "-r", str(LOCK)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalcloudError(f"cannot fetch the AWS CLI that instances need:\n{done.stderr[-1000:]}")
    try:
        temporary.rename(folder)
    except OSError:  # another process installed it first
        shutil.rmtree(temporary)
    return folder


def docker_client() -> str:
    """The path of the host's docker client, for Linux. Raises LocalcloudError when the host has none."""
    program = shutil.which("docker")
    path = Path(program).resolve() if program else None
    if path is None or path.read_bytes()[:4] != b"\x7fELF":
        raise LocalcloudError("instances need a docker client for Linux; install one and put it on this host's PATH")
    return str(path)


def engine_socket() -> str:
    """The path of the engine's socket. Raises LocalcloudError for an engine on another host."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        raise LocalcloudError(f"DOCKER_HOST={address}: instances need an engine on this host (unix://…)")
    return address.removeprefix("unix://")
