"""The choice of precision and memory layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from train.learning import precision
from train.learning.precision import Precision

CPU = torch.device("cpu")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(("requested", "name"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_a_named_precision_is_used(requested: str, name: str) -> None:
    assert precision.choose(Hyperparameters(precision=requested, channels_last="false"), network(), CPU) == Precision(
        name=name
    )


def test_networks_with_convolutions_get_channels_last_by_default() -> None:
    assert precision.choose(Hyperparameters(precision="fp32"), network(), CPU).channels_last
    assert not precision.choose(Hyperparameters(precision="fp32", channels_last="false"), network(), CPU).channels_last
    assert not precision.choose(Hyperparameters(precision="fp32"), nn.Linear(3, 2), CPU).channels_last


def test_auto_on_a_cpu_is_supported_by_it_and_does_not_change_the_network() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = precision.choose(Hyperparameters(crop=32, resize=32), model, CPU)
    assert found.name in (("fp32", "bf16") if precision.has_bf16() else ("fp32",))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Clock:
    """Time passes only while a network computes: so many seconds in each arithmetic and layout, and more of them in
    the passes whose number, counted for each, is in `disturbed`.
    """

    def __init__(self, seconds: dict[Precision, float], disturbed: Mapping[tuple[Precision, int], float] = {}) -> None:
        self.now, self.seconds, self.disturbed = 0.0, seconds, disturbed
        self.passes: list[Precision] = []

    def __call__(self) -> float:
        return self.now

    def network(self) -> nn.Module:
        made = network()
        made.register_forward_hook(self._passes)
        return made

    def __deepcopy__(self, _: object) -> Clock:
        return self

    def _passes(self, module: nn.Module, _inputs: object, _outputs: object) -> None:
        weight = next(module.parameters())
        last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
        name = "bf16" if torch.is_autocast_enabled("cpu") else "fp32"
        used = Precision(name=name, channels_last=last)
        self.now += self.seconds[used] + self.disturbed.get((used, self.passes.count(used)), 0.0)
        self.passes.append(used)


EVERY = [Precision(name=name, channels_last=last) for name in ("fp32", "bf16") for last in (False, True)]


@pytest.mark.parametrize(
    ("seconds", "best"), [((4, 3, 2, 1), 3), ((4, 1, 2, 3), 1), ((1, 2, 3, 4), 0), ((1.0, 0.95, 0.93, 2), 0)]
)
@pytest.mark.parametrize("training", [False, True])
def test_the_fastest_candidate_is_used_if_it_is_faster_than_the_first_by_the_gain(
    training: bool, seconds: tuple[float, ...], best: int
) -> None:
    clock = Clock(dict(zip(EVERY, seconds, strict=True)))
    found = precision.fastest(clock.network(), EVERY, torch.zeros(2, 3, 8, 8), training=training, clock=clock)
    assert found == EVERY[best]


def test_a_slow_network_is_measured_once_after_its_warm_up() -> None:
    clock = Clock(dict.fromkeys(EVERY, 100.0))
    precision.fastest(clock.network(), EVERY, torch.zeros(2, 3, 8, 8), training=True, clock=clock)
    assert clock.now == 2 * 4 * 100.0


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_a_disturbed_step_does_not_decide(scale: float) -> None:
    steps = [scale * each for each in (0.9, 0.7, 0.4, 0.35)]
    disturbed = {(EVERY[3], 1): scale, (EVERY[3], 2): scale, (EVERY[2], 0): 0.2 * scale}
    clock = Clock(dict(zip(EVERY, steps, strict=True)), disturbed)
    assert precision.fastest(clock.network(), EVERY, torch.zeros(2, 3, 8, 8), training=True, clock=clock) == EVERY[3]


def test_a_slow_candidate_is_not_timed_again_when_a_turn_takes_long() -> None:
    clock = Clock(dict(zip(EVERY, (0.9, 0.7, 0.4, 0.35), strict=True)))
    precision.fastest(clock.network(), EVERY, torch.zeros(2, 3, 8, 8), training=True, clock=clock)
    assert Counter(clock.passes) == dict(zip(EVERY, (1, 1, 4, 4), strict=True))


def test_fp16_on_a_cpu_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="use auto, bf16 or fp32"):
        precision.choose(Hyperparameters(precision="fp16"), network(), CPU)


def test_autocast_computes_in_the_chosen_precision() -> None:
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Precision(name=name).autocast(CPU):
            assert nn.Linear(3, 2)(torch.zeros(1, 3)).dtype == kind
