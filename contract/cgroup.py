"""The limits of the container: CPUs (CPU affinity, cgroup v1 and v2) and memory. Only `read_text` does I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

Reader = Callable[[str], str | None]
ROOT = "/sys/fs/cgroup"
_UNLIMITED_BYTES = 1 << 60  # cgroup v1 writes "no limit" as a huge number


def read_text(path: str) -> str | None:
    """The file's text, or None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


def usable_cpus(read: Reader = read_text, affinity: int | None = None) -> int:
    """The number of threads that can compute without throttling, at least 1.

    A limit of 1.5 CPUs gives 1, because with a second busy thread the kernel would pause both in each period.
    """
    count = affinity if affinity is not None else len(os.sched_getaffinity(0))
    limits = [count, *(int(quota) for quota in _cpu_quotas(read))]
    return max(1, min(limits))


def memory_limit(read: Reader = read_text) -> int | None:
    """The smallest memory limit in bytes, or None without one."""
    limits = []
    for folder in (*_folders(read, ""), *_folders(read, "memory")):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = (read(f"{folder}/{name}") or "").strip()
            if text.isdigit() and 0 < int(text) < _UNLIMITED_BYTES:
                limits.append(int(text))
    return min(limits, default=None)


def memory_kills(read: Reader = read_text) -> int:
    """The number of processes of this container that the kernel killed for memory; 0 where it is unknown."""
    texts = (read(f"{ROOT}/memory.events"), read(f"{ROOT}/memory/memory.oom_control"))
    count = re.search(r"^oom_kill (\d+)", next(filter(None, texts), ""), re.MULTILINE)
    return int(count.group(1)) if count else 0


def _cpu_quotas(read: Reader) -> Iterator[float]:
    for folder in _folders(read, ""):
        quota, _, period = (read(f"{folder}/cpu.max") or "").strip().partition(" ")
        yield from _ratio(quota, period)
    for controller in ("cpu", "cpu,cpuacct"):
        for folder in _folders(read, controller):
            yield from _ratio(read(f"{folder}/cpu.cfs_quota_us"), read(f"{folder}/cpu.cfs_period_us"))


def _ratio(quota: str | None, period: str | None) -> Iterator[float]:
    try:
        amount, length = int(quota or ""), int(period or "")
    except ValueError:  # "max", empty, or no such file
        return
    if amount > 0 and length > 0:
        yield amount / length


def _folders(read: Reader, controller: str) -> Iterator[str]:
    """The controller's root, where a container sees its own limits, and outside a container this process's group."""
    base = f"{ROOT}/{controller}" if controller else ROOT
    yield base
    for line in (read("/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names == controller and path not in ("", "/"):
            yield base + path
