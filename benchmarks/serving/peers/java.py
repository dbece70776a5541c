"""The Java runtime that two of the peers need."""

from __future__ import annotations

import shutil
from collections.abc import Callable

Find = Callable[[str], str | None]


def check(find: Find = shutil.which) -> None:
    """Raises RuntimeError, which says what to install, when there is no Java on PATH."""
    if find("java") is None:
        raise RuntimeError("no Java on PATH; install it with: apt-get install default-jre-headless")
