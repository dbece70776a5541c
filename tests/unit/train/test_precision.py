"""Which arithmetic is chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from train import precision
from train.config import Config
from train.precision import Precision

CPU = torch.device("cpu")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(("asked", "name"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_what_is_asked_for_is_taken(asked: str, name: str) -> None:
    assert precision.choose(Config(precision=asked, channels_last="false"), network(), CPU) == Precision(name=name)


def test_networks_with_convolutions_get_channels_last_unless_told() -> None:
    assert precision.choose(Config(precision="fp32"), network(), CPU).channels_last
    assert not precision.choose(Config(precision="fp32", channels_last="false"), network(), CPU).channels_last
    assert not precision.choose(Config(precision="fp32"), nn.Linear(3, 2), CPU).channels_last


def test_auto_on_a_cpu_is_one_that_the_cpu_has_and_leaves_the_network_as_it_was() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = precision.choose(Config(crop=32, resize=32), model, CPU)
    assert found.name in (("fp32", "bf16") if precision.has_bf16() else ("fp32",))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_half_precision_on_a_cpu_is_refused_with_what_would_do() -> None:
    with pytest.raises(ValueError, match="use auto, bf16 or fp32"):
        precision.choose(Config(precision="fp16"), network(), CPU)


def test_autocast_computes_in_the_chosen_arithmetic() -> None:
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Precision(name=name).autocast(CPU):
            assert nn.Linear(3, 2)(torch.zeros(1, 3)).dtype == kind
