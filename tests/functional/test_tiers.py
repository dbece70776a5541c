"""A suite ends even when one of its tests hangs."""

import os
import subprocess
from pathlib import Path

from tests import tiers

STUCK = """
import ctypes

def test_stuck():
    lock, library = ctypes.create_string_buffer(128), ctypes.PyDLL(None)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)
"""


def test_a_test_that_never_releases_the_interpreters_lock_is_killed_and_its_threads_are_shown(tmp_path: Path) -> None:
    stuck = tmp_path / "test_stuck.py"
    stuck.write_text(STUCK)
    suite = tiers.Suite(tier="unit", where="host", paths=(str(stuck),))
    argv = [*tiers.on_host(suite, tmp_path), "--timeout=1", "-o", "faulthandler_timeout=2"]

    done = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert "in test_stuck" in done.stderr
    assert tiers.outcome(tmp_path / f"{suite.name}.xml", done.returncode).problems
