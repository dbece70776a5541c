"""One line that describes the machine a table was measured on."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path


def machine(versions: Mapping[str, str] | None = None, *, cpuinfo: str | None = None) -> str:
    """CPU, cores, memory, Python version, date, and the versions of the measured packages."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if cpuinfo is None else cpuinfo
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = match.group(1).strip() if match else platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    known = [f"{name}{_wide(text)}, {len(os.sched_getaffinity(0))} cores, {gigabytes:.0f} GB"]
    known += [f"Python {platform.python_version()}", time.strftime("%Y-%m-%d")]
    known += [f"{package} {version}" for package, version in (versions or {}).items()]
    return ", ".join(known)


def _wide(cpuinfo: str) -> str:
    """The instruction sets that decide how fast a network runs."""
    flags = set(cpuinfo.split())
    wide = [name for name in ("avx2", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") if name in flags]
    return f" ({' '.join(wide)})" if wide else ""
