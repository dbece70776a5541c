"""Observes the real machine. No other module of `train` looks at devices and network interfaces."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from contract import cgroup
from train.host.environment import LOOPBACK, Machine, SetupError

_COUNT = "import torch; print(torch.cuda.device_count(), torch.version.cuda)"


def observe() -> Machine:
    """The machine that this runs on. Raises SetupError when it has a GPU that torch cannot use."""
    return Machine(
        gpus=_gpus(),
        cpus=cgroup.usable_cpus(),
        memory=_memory(),
        free_port=_free_port(),
        interfaces=tuple(name for _, name in socket.if_nameindex()),
    )


def _memory() -> int:
    """Bytes that the container may use: its limit, or all physical memory."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical, cgroup.memory_limit() or physical)


def _gpus() -> int:
    """Counts GPUs with torch in a child process, only if a device file exists: importing torch takes seconds."""
    nodes = [path.name for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    if not nodes or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    answer = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    words = answer.stdout.split()
    if answer.returncode or not words or words[0] == "0":
        cuda = words[1] if len(words) > 1 else "this image's version"
        tail = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise SetupError(
            f"torch (CUDA {cuda}) cannot use the {len(nodes)} GPU(s) of this host: {tail}. The host's driver may be "
            "too old for this CUDA (13 needs driver 580): renew it, or set CUDA_VISIBLE_DEVICES= to train on CPUs"
        )
    return int(words[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
