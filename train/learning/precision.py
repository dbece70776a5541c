"""Chooses arithmetic and memory layout by the device's abilities and, on a CPU, by a short measurement."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from contract.hyperparameters import Hyperparameters

GAIN = 1.1  # how much faster than plain float32 a candidate must be
PICTURES = 4  # in a timed step
TURNS = 3  # after the first; a single one chose a layout 19 % too slow in two of five runs
SECONDS = 0.5  # if the first turn takes longer, only candidates NEAR the fastest stay
LIMIT = 6.0  # seconds; no third turn starts later
NEAR = 1.5  # a candidate this many times slower than the fastest cannot win, even if it was not warm yet


@dataclass(frozen=True, kw_only=True)
class Precision:
    """`name` is fp32, bf16 or fp16. The checkpoint keeps it, so that a resumed training computes the same."""

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


def choose(config: Hyperparameters, model: nn.Module, device: torch.device) -> Precision:
    """The precision and memory layout to train with.

    precision=auto measures on a CPU (see `fastest`) and is bf16 on a GPU (fp16 on older ones). A named precision is
    not measured, so that every training on one machine computes the same; channels_last=auto is then true for
    networks with full convolutions.

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
    names = ("fp32", "bf16") if has_bf16() else ("fp32",)
    layouts = (False, True) if convolutions and config.channels_last == "auto" else (last,)
    candidates = [Precision(name=name, channels_last=layout) for name in names for layout in layouts]
    pictures = torch.zeros(PICTURES, 3, config.crop, config.crop)
    return fastest(model, candidates, pictures, training=not config.freeze_backbone)


def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def fastest(
    model: nn.Module,
    candidates: Sequence[Precision],
    pictures: torch.Tensor,
    *,
    training: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> Precision:
    """The candidate with the shortest step on this CPU. The first candidate wins unless another is GAIN times faster.

    With `training` a step is forward and backward, else only forward: depthwise convolutions may be slow backward in
    a layout that is fast forward. Candidates take turns, so that other work on the machine slows all of them, and the
    shortest time of each counts. If the first turn takes SECONDS, only candidates NEAR the fastest continue. Does not
    change `model`.
    """
    if len(candidates) == 1:
        return candidates[0]
    copied = copy.deepcopy(model)
    copied.train(training)
    best, remaining = dict.fromkeys(candidates, math.inf), list(candidates)
    began = clock()
    for turn in range(1 + TURNS):
        if turn > 1 and clock() - began > LIMIT:
            break
        for precision in remaining:
            duration = seconds(copied, precision, pictures, training=training, clock=clock)
            best[precision] = min(best[precision], duration)
        if turn == 0 and clock() - began > SECONDS:
            remaining = [precision for precision in remaining if best[precision] <= NEAR * min(best.values())]
    quickest = min(candidates, key=lambda precision: best[precision])
    return quickest if best[candidates[0]] >= GAIN * best[quickest] else candidates[0]


def seconds(
    model: nn.Module, precision: Precision, pictures: torch.Tensor, *, training: bool, clock: Callable[[], float]
) -> float:
    """The time of one step of `model`. Changes its layout and gradients."""
    model.to(memory_format=precision.memory_format)
    pictures = pictures.contiguous(memory_format=precision.memory_format)
    start = clock()
    with torch.set_grad_enabled(training):
        with precision.autocast(torch.device("cpu")):
            logits = model(pictures)
        if training:
            logits.float().sum().backward()
    duration = clock() - start
    model.zero_grad(set_to_none=True)
    return duration
