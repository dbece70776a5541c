"""What runs on this machine, without pgrep, which a bare Debian lacks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def commands(holding: str) -> list[str]:
    """The command lines of the processes whose command line holds a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            found.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if holding in command]
