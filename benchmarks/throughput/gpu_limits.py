"""The most a GPU can do by its data sheet, and how many CPU cores must decode pictures to keep it busy."""

from __future__ import annotations

from collections.abc import Mapping

# Dense TFLOP/s in float16 or bfloat16 on tensor cores, from NVIDIA's data sheets (half of the figure "with sparsity").
# Longer names come first, because the first name that is part of the driver's name for the GPU is used.
PEAKS: Mapping[str, float] = {
    "H100 PCIe": 756.0,
    "A10G": 70.0,
    "H200": 989.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "V100": 125.0,
    "A10": 125.0,
    "L4": 121.0,
    "T4": 65.0,
}


def peak(name: str) -> float | None:
    """TFLOP/s of the GPU that the driver calls `name`; None for a GPU that is not in the table."""
    words = name.replace("-", " ").split()
    for known, value in PEAKS.items():
        name_words = known.split()
        if any(words[at : at + len(name_words)] == name_words for at in range(len(words))):
            return value
    return None


def limit(tflops: float, flops_per_picture: float) -> float:
    """Pictures a second if every operation of a training step ran at the peak. No real training reaches this."""
    return tflops * 1e12 / flops_per_picture


def cores(pictures_per_second: float, decoded_per_core: float) -> float:
    """CPU cores needed to decode `pictures_per_second`."""
    return pictures_per_second / decoded_per_core
