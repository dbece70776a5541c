"""The most that a GPU can do by its data sheet, and the GPU benchmark's rows."""

from typing import Any

import pytest

from benchmarks import train_gpu
from benchmarks.throughput import gpu_limits
from benchmarks.train_gpu import Measurements


@pytest.mark.parametrize(
    ("driver_name", "tflops"),
    [
        ("Tesla T4", 65.0),
        ("NVIDIA A10G", 70.0),
        ("NVIDIA A10", 125.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA A100-SXM4-40GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_a_gpus_peak_is_looked_up_by_the_name_that_its_driver_reports(driver_name: str, tflops: float | None) -> None:
    assert gpu_limits.peak(driver_name) == tflops


def test_the_limit_is_the_peak_over_the_work_of_a_picture() -> None:
    assert gpu_limits.limit(100.0, 25e9) == pytest.approx(4000)
    assert gpu_limits.cores(1000, 250) == 4


def test_without_a_gpu_the_table_says_what_was_not_measured_and_keeps_its_targets() -> None:
    measured = Measurements()
    for line in ({"flops": 24.5e9, "gpu": ""}, {"name": "decoding, 1 threads", "round": 0, "value": 200.0}):
        measured.add(line)
    rows = train_gpu.rows(measured)
    jpeg = rows[0]
    assert (jpeg.ratio, jpeg.met, jpeg.target) == (None, None, 0.95)
    assert "needs a GPU" in jpeg.note
    assert "decoding, 1 threads, pictures/s: 200.0" in [str(row) for row in rows]


def test_on_a_gpu_each_option_is_compared_with_the_one_before_and_a_broken_one_shows_its_error() -> None:
    measured = Measurements()
    rates = {"JPEG to step": 930.0, "synthetic": 1000.0, "fp32": 300.0, "AMP": 600.0, "AMP, channels_last": 900.0}
    lines: list[dict[str, Any]] = [{"name": name, "round": 0, "value": value} for name, value in rates.items()]
    broken: dict[str, Any] = {"name": "AMP, channels_last, compiled", "error": "RuntimeError: no compiler"}
    for line in [{"flops": 24.5e9, "gpu": "Tesla T4"}, *lines, broken]:
        measured.add(line)
    by_name = {row.what: row for row in train_gpu.rows(measured)}
    assert by_name["JPEG to step, pictures/s"].met is False
    assert by_name["AMP, channels_last: synthetic, pictures/s"].ratio == 1.5
    assert by_name["AMP, channels_last, compiled: synthetic, pictures/s"].note == "RuntimeError: no compiler"
    assert by_name["TFLOP/s on synthetic tensors"].ratio == pytest.approx(24.5 / 65, rel=1e-3)


def test_decoding_is_measured_with_one_thread_up_to_all_cores() -> None:
    assert train_gpu.threads(1) == [1]
    assert train_gpu.threads(6) == [1, 2, 4, 6]
