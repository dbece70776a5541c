"""CPU and memory of a process and its children, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from benchmarks.harness import cpu_seconds, memory, tree

CHILD = """
import time
while time.process_time() < 0.4:  # more than the test waits for: the kernel counts whole ticks, rounded down
    pass
time.sleep(60)
"""
PARENT = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", {CHILD!r}]).pid, flush=True)
time.sleep(60)
"""


def test_the_cpu_time_and_memory_of_children_are_counted() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        child = int(process.stdout.readline()) if process.stdout else 0
        try:
            assert set(tree(process.pid)) == {process.pid, child}
            end = time.monotonic() + 10
            while cpu_seconds(process.pid) < 0.3 and time.monotonic() < end:
                time.sleep(0.02)
            assert 0.3 <= cpu_seconds(process.pid) < 2
            both, alone = memory(process.pid), memory(child)
            assert both.rss > alone.rss > 1_000_000
            assert both.pss <= both.rss
        finally:
            os.killpg(process.pid, signal.SIGKILL)
