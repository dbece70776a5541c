"""The Java that two of the peers run on."""

from __future__ import annotations

import shutil
from collections.abc import Callable

Find = Callable[[str], str | None]


def check(find: Find = shutil.which) -> None:
    """Raises RuntimeError, with what to install, when there is no Java on PATH."""
    if find("java") is None:
        raise RuntimeError("Java is needed and not on PATH: apt-get install default-jre-headless")
