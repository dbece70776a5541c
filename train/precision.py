"""Which arithmetic and memory layout to train in, by the device's abilities and, on a CPU, one short measurement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from train.config import Config

GAIN = 1.1  # bf16 must be so much faster than fp32 to be chosen
PICTURES = 4


@dataclass(frozen=True, kw_only=True)
class Precision:
    """`name` is fp32, bf16 or fp16. Kept in the checkpoint, so that a resumed run computes as it began."""

    name: str = "fp32"
    channels_last: bool = False

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @contextmanager
    def autocast(self, device: torch.device) -> Iterator[None]:
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name, torch.bfloat16)
        with torch.autocast(device.type, dtype=kind, enabled=self.name != "fp32"):
            yield


PLAIN = Precision()


def choose(config: Config, model: nn.Module, device: torch.device) -> Precision:
    """The configured precision; for `auto` bf16 (fp16 on older GPUs) where it is faster, else fp32.

    Raises ValueError for fp16 on a CPU, where it is slower than fp32 and loses gradients.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise ValueError("precision=fp16 needs a GPU: use auto, bf16 or fp32")
    convolutions = any(isinstance(module, nn.Conv2d) and module.groups == 1 for module in model.modules())
    last = convolutions if config.channels_last == "auto" else config.channels_last == "true"
    if config.precision != "auto":
        return Precision(name=config.precision, channels_last=last)
    if device.type == "cuda":
        return Precision(name="bf16" if torch.cuda.is_bf16_supported() else "fp16", channels_last=last)
    plain, half = Precision(name="fp32", channels_last=last), Precision(name="bf16", channels_last=last)
    if not has_bf16():
        return plain
    pictures = torch.zeros(PICTURES, 3, config.crop, config.crop)
    gain = seconds(model, plain, pictures) / seconds(model, half, pictures)
    return half if gain >= GAIN else plain


def has_bf16() -> bool:
    """True when this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def seconds(model: nn.Module, precision: Precision, pictures: torch.Tensor) -> float:
    """The time of one forward pass on the CPU, the better of two after one to warm up; `model` stays as it was."""
    training = model.training
    model.eval().to(memory_format=precision.memory_format)
    pictures = pictures.contiguous(memory_format=precision.memory_format)
    times = []
    with torch.no_grad(), precision.autocast(torch.device("cpu")):
        for _ in range(3):
            start = time.perf_counter()
            model(pictures)
            times.append(time.perf_counter() - start)
    model.train(training)
    return min(times[1:])
