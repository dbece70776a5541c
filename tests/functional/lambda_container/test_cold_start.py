"""The cost of a cold start, in counts and in ratios of one run; the benchmark measures it exactly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.harness import Row, column
from benchmarks.lambda_cold_start import ROOT, measure, rows

HEAVY = {
    "asyncio",
    "awslambdaric",
    "boto3",
    "botocore",
    "concurrent.futures",
    "dataclasses",
    "email",
    "http.client",
    "inspect",
    "logging",
    "numpy",
    "PIL",
    "requests",
    "urllib.request",
    "urllib3",
    "uuid",
}
# The modules that the handler loads beside bare Python: 80 on Python 3.11, one or two more or less on others.
MODULES = 82


def loaded_by(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_handler_creates_no_application() -> None:
    assert loaded_by("import lambda_container.handler as h; print(h.application.cache_info().currsize)") == {"0"}


def test_importing_the_handler_loads_nothing_heavy_and_few_modules() -> None:
    loaded = loaded_by("import sys, lambda_container.handler; print(*sys.modules)")
    assert "lambda_container.fetch" in loaded
    assert HEAVY & loaded == set()
    brought = loaded - loaded_by("import sys; print(*sys.modules)")
    assert len(brought) <= MODULES, sorted(brought)


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    """The rows of the least that each took in five turns, because other load can only add."""
    runs = {name: [{moment: min(column(turns, moment)) for moment in turns[0]}] for name, turns in measure(5).items()}
    return {f"{row.what} / {row.peer_name}": row for row in rows(runs)}


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("ready on awslambdaric, whole process, CPU ms / plain boto3 handler", 0.40),  # 0.26 measured
        ("ready: what the handler adds to awslambdaric, CPU ms / plain boto3 handler", 0.25),  # 0.15
        ("to the first answer, CPU ms / plain boto3 handler", 0.40),  # 0.25
        ("to the first answer over TLS, CPU ms / plain boto3 handler", 0.36),  # 0.26; 0.39 from one file of all
        ("import and client without awslambdaric, CPU ms / boto3 client", 0.25),  # 0.16
    ],
)
def test_a_cold_start_costs_a_fraction_of_a_boto3_handlers(table: dict[str, Row], what: str, most: float) -> None:
    ratio = table[what].ratio
    assert ratio is not None
    assert ratio <= most
