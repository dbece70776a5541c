"""What a GPU could do at most, by its maker's data sheet, and how many cores of decoding it would take to feed it."""

from __future__ import annotations

from collections.abc import Mapping

# Dense TFLOP/s in float16 or bfloat16 on tensor cores, as NVIDIA's data sheets give them (half of what is told "with
# sparsity"). Longer names first: the first that is part of what the driver says is taken.
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
    """TFLOP/s of the GPU that the driver calls `name`; None for one that is not in the table."""
    words = name.replace("-", " ").split()
    for known, value in PEAKS.items():
        name_words = known.split()
        if any(words[at : at + len(name_words)] == name_words for at in range(len(words))):
            return value
    return None


def limit(tflops: float, flops_per_picture: float) -> float:
    """Pictures a second, were every operation of a training step done at the peak. None is ever there."""
    return tflops * 1e12 / flops_per_picture


def cores(pictures_per_second: float, decoded_per_core: float) -> float:
    """CPU cores that decode so many pictures a second."""
    return pictures_per_second / decoded_per_core
