"""What the real machine offers. The only place of `train` that looks at devices, cgroups and interfaces."""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from train.environment import LOOPBACK, Machine, PlaceError

_COUNT = "import torch; print(torch.cuda.device_count(), torch.version.cuda)"


def observe() -> Machine:
    """Raises PlaceError when a GPU is there that torch cannot use."""
    return Machine(
        gpus=_gpus(),
        cpus=usable_cpus(len(os.sched_getaffinity(0)), _text),
        free_port=_free_port(),
        interfaces=tuple(name for _, name in socket.if_nameindex()),
    )


def usable_cpus(affinity: int, read: Callable[[str], str | None]) -> int:
    """CPUs that this container may use: the affinity mask, less where a cgroup (v2, then v1) has a quota; at least 1.

    `read` gives a file's text, or None where there is no such file.
    """
    quota, period = "max", "100000"
    unified = (read("/sys/fs/cgroup/cpu.max") or "").split()
    if len(unified) == 2:
        quota, period = unified
    else:
        quota = (read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or "-1").strip()
        period = (read("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or period).strip()
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return max(1, affinity)
    return max(1, min(affinity, math.ceil(int(quota) / int(period))))


def out_of_memory_kills(read: Callable[[str], str | None] | None = None) -> int:
    """How many processes of this container the kernel has ended for memory so far; 0 where nothing tells."""
    read = read or _text
    found = re.search(
        r"^oom_kill (\d+)", (read("/sys/fs/cgroup/memory.events") or read(_V1_OOM) or ""), flags=re.MULTILINE
    )
    return int(found.group(1)) if found else 0


_V1_OOM = "/sys/fs/cgroup/memory/memory.oom_control"


def _gpus() -> int:
    """Asks torch in a child process, and only where a device node exists: importing torch takes seconds."""
    nodes = [path.name for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    if not nodes or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return 0
    answer = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    words = answer.stdout.split()
    if answer.returncode or not words or words[0] == "0":
        cuda = words[1] if len(words) > 1 else "this image's version"
        tail = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise PlaceError(
            f"{len(nodes)} GPU(s) are here but torch (CUDA {cuda}) cannot use them: {tail}. Is the host's driver older "
            "than this CUDA (13 needs driver 580)? Renew it, or set CUDA_VISIBLE_DEVICES= to train on CPUs"
        )
    return int(words[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return None
