"""Networks by name: heads, variants, and matching and other weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from contract import models
from contract.models import ModelError, Weights

FAMILIES = (
    "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "efficientnet_b0", "efficientnet_v2_s",
    "convnext_tiny", "mobilenet_v2", "mobilenet_v3_small", "vit_b_16", "swin_t", "densenet121", "vgg11",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_ends_in_a_linear_head_for_the_classes(name: str) -> None:
    with torch.device("meta"):
        model = models.build(name, 7)
    assert name in models.names()
    assert models.head_of(model).out_features == 7


def test_features_then_head_is_the_whole_network() -> None:
    torch.manual_seed(0)
    model = models.build("mobilenet_v3_small", 5).eval()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole = model(pictures)
        head, place = models.head_of(model), models.head_name(model)
        models.attach_head(model, nn.Identity(), place)
        features = model(pictures)
        models.attach_head(model, head, place)
        assert features.shape == (2, head.in_features)
        assert torch.equal(head(features), whole)
        assert torch.equal(model(pictures), whole)


def test_v1_moves_the_stride_to_the_first_convolution_and_widens_epsilon() -> None:
    with torch.device("meta"):
        plain, first = models.build("resnet50", 3), models.build("resnet50", 3, "v1")
    for number in (2, 3, 4):
        ours, theirs = getattr(first, f"layer{number}")[0], getattr(plain, f"layer{number}")[0]
        assert (ours.conv1.stride, ours.conv2.stride) == (theirs.conv2.stride, theirs.conv1.stride) == ((2, 2), (1, 1))
    assert {norm.eps for norm in first.modules() if isinstance(norm, nn.BatchNorm2d)} == {1e-3}
    assert {name: value.shape for name, value in first.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "variant", "words"),
    [
        ("resnet51", "", "resnet50"),
        ("resnet18", "v1", "bottleneck"),
        ("vit_b_16", "v1", "bottleneck"),
        ("resnet50", "v9", "v1"),
    ],
)
def test_unknown_networks_and_variants_are_refused_by_name(name: str, variant: str, words: str) -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=words):
        models.build(name, 3, variant)


def test_the_head_is_not_loaded_when_the_classes_differ() -> None:
    source, target = models.build("mobilenet_v3_small", 9), models.build("mobilenet_v3_small", 4)
    head = models.head_of(target).weight.clone()
    assert not models.load(target, Weights(state=source.state_dict(), architecture="mobilenet_v3_small"))
    assert torch.equal(models.head_of(target).weight, head)
    assert torch.equal(target.features[0][0].weight, source.features[0][0].weight)


def test_the_head_is_loaded_only_for_the_same_labels() -> None:
    source, target = models.build("mobilenet_v3_small", 2), models.build("mobilenet_v3_small", 2)
    weights = Weights(state=source.state_dict(), architecture="mobilenet_v3_small", labels=("cat", "dog"))
    assert not models.load(target, weights, labels=("dog", "cat"))
    assert not torch.equal(models.head_of(target).weight, models.head_of(source).weight)
    assert models.load(target, weights, labels=("cat", "dog"))
    assert torch.equal(models.head_of(target).weight, models.head_of(source).weight)


def test_weights_of_another_network_are_refused_with_missing_unknown_and_misshapen_tensors() -> None:
    model = models.build("mobilenet_v3_small", 2)
    state = dict(model.state_dict())
    first = state.pop("features.0.0.weight")
    with pytest.raises(ModelError, match=r"misses features\.0\.0\.weight"):
        models.load(model, Weights(state=state, architecture=""))
    with pytest.raises(ModelError, match="unknown stray"):
        models.load(model, Weights(state={**state, "features.0.0.weight": first, "stray": first}, architecture=""))
    with pytest.raises(ModelError, match=r"other shapes for features\.0\.0\.weight"):
        models.load(model, Weights(state={**state, "features.0.0.weight": first[:2]}, architecture=""))


def test_a_transformer_names_the_input_size_that_it_needs() -> None:
    with torch.device("meta"):
        transformer, network = models.build("vit_b_16", 3), models.build("resnet18", 3)
    models.check_side(transformer, "vit_b_16", 224)
    models.check_side(network, "resnet18", 64)
    with pytest.raises(ModelError, match="--crop 224"):
        models.check_side(transformer, "vit_b_16", 192)
