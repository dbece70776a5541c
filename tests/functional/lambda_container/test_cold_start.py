"""What the function costs to start, held loosely: the benchmark says it exactly."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.lambda_cold_start import ROOT, measure, rows

HEAVY = {
    "boto3",
    "botocore",
    "dataclasses",
    "inspect",
    "logging",
    "numpy",
    "PIL",
    "requests",
    "urllib.request",
    "urllib3",
}


def test_importing_the_handler_loads_nothing_heavy_and_makes_no_application() -> None:
    code = "import sys, lambda_container.handler as h; print(h.application.cache_info().currsize, *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    made, *loaded = done.stdout.split()
    assert made == "0"
    assert "lambda_container.fetch" in loaded
    assert HEAVY & set(loaded) == set()


def test_a_cold_start_costs_less_than_half_of_a_boto3_handlers() -> None:
    medians = measure(3)
    ratios = [float(str(row["ratio"])) for row in rows(medians)]
    assert ratios[0] <= 0.4
    assert ratios[1] <= 0.4
