"""CPU time and memory of a process and its descendants, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes. `pss` divides a shared page among the processes that map it; `rss` counts it in full for each of them."""

    rss: int
    pss: int


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants."""
    children: dict[int, list[int]] = {}
    for path in PROC.iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))):
            children.setdefault(int(fields[1]), []).append(int(path.name))
    pids, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        pids.append(one)
        waiting += children.get(one, [])
    return pids


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree so far, including children that have ended and been waited for."""
    return sum(sum(map(int, fields[11:15])) for one in tree(pid) if (fields := _stat(one))) / TICK


def memory(pid: int) -> Memory:
    """The current memory of the tree."""
    each = [_rollup(one) for one in tree(pid)]
    return Memory(rss=sum(rss for rss, _ in each), pss=sum(pss for _, pss in each))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may contain spaces: state, parent, … (proc(5), field 3 on)."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _rollup(pid: int) -> tuple[int, int]:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return (0, 0)
    known = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss:", "Pss:"))}
    return (known.get("Rss", 0), known.get("Pss", 0))
