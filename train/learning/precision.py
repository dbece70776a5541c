"""Which arithmetic and memory layout to train in, by the device's abilities and, on a CPU, a short measurement."""

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

GAIN = 1.1  # anything but plain float32 must be so much faster to be chosen
PICTURES = 4  # in a step
TURNS = 3  # after the first: one sample alone took a layout 19 % slower in two of five runs
SECONDS, LIMIT = 0.5, 6.0  # of the first turn: then only those NEAR the fastest stay; of all: then no third begins
NEAR = 1.5  # times the fastest; what is slower has lost even where it was not warm yet


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


def choose(config: Hyperparameters, model: nn.Module, device: torch.device) -> Precision:
    """The configured precision and memory layout; precision=auto on a CPU measures both (see `fastest`).

    On a GPU auto is bf16 (fp16 on older ones). A precision that is named comes with channels_last for networks with
    full convolutions: nothing is measured, so each run on one machine computes the same.

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
    """True when this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def fastest(
    model: nn.Module,
    candidates: Sequence[Precision],
    pictures: torch.Tensor,
    *,
    training: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> Precision:
    """The candidate whose step is the shortest on this CPU; the first, the plainest, unless another gains by GAIN.

    A step is forward and backward when the whole network is trained, forward alone when only features are computed:
    depthwise convolutions may be slow backwards in what is fast forwards. Candidates take turns, so that another's
    work on the machine meets all, and the best of each counts. A network so slow that the first turn takes SECONDS is
    timed on with those that are NEAR. `model` stays as it was.
    """
    if len(candidates) == 1:
        return candidates[0]
    copied = copy.deepcopy(model)
    copied.train(training)
    best, left = dict.fromkeys(candidates, math.inf), list(candidates)
    began = clock()
    for turn in range(1 + TURNS):
        if turn > 1 and clock() - began > LIMIT:
            break
        for precision in left:
            took = seconds(copied, precision, pictures, training=training, clock=clock)
            best[precision] = min(best[precision], took)
        if turn == 0 and clock() - began > SECONDS:
            left = [precision for precision in left if best[precision] <= NEAR * min(best.values())]
    quickest = min(candidates, key=lambda precision: best[precision])
    return quickest if best[candidates[0]] >= GAIN * best[quickest] else candidates[0]


def seconds(
    model: nn.Module, precision: Precision, pictures: torch.Tensor, *, training: bool, clock: Callable[[], float]
) -> float:
    """The time of one step of `model`, whose layout and gradients change."""
    model.to(memory_format=precision.memory_format)
    pictures = pictures.contiguous(memory_format=precision.memory_format)
    start = clock()
    with torch.set_grad_enabled(training):
        with precision.autocast(torch.device("cpu")):
            logits = model(pictures)
        if training:
            logits.float().sum().backward()
    took = clock() - start
    model.zero_grad(set_to_none=True)
    return took
