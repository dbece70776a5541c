"""What every benchmark shares: rounds, table rows, environments for peers, CPU and memory, results with a plot.

Imports nothing of the product. Open rounds.py and rows.py first.
"""

from benchmarks.harness.environments import environment, json_lines, newest_python
from benchmarks.harness.machine import machine
from benchmarks.harness.processes import Memory, cpu_seconds, memory, tree
from benchmarks.harness.results import write
from benchmarks.harness.rounds import column, fingerprint, interleaved, kept
from benchmarks.harness.rows import Row, alone, at_least, at_most, not_measured, speedup

__all__ = [
    "Memory",
    "Row",
    "alone",
    "at_least",
    "at_most",
    "column",
    "cpu_seconds",
    "environment",
    "fingerprint",
    "interleaved",
    "json_lines",
    "kept",
    "machine",
    "memory",
    "newest_python",
    "not_measured",
    "speedup",
    "tree",
    "write",
]
