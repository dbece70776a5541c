"""The processes on this machine, read from /proc because a bare Debian has no pgrep."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def commands(holding: str) -> list[str]:
    """The command lines that contain the text `holding`."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has ended
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if holding in line]
