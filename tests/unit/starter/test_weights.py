"""Keras' ResNet-50 onto torchvision's names and layouts."""

import numpy as np
import pytest

from starter.packages import FetchError
from starter.weights import convert, tensors

RANDOM = np.random.default_rng(0)


def _layers(
    layer: str, norm: str, shape: tuple[int, ...]
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    layers = {f"{layer}/kernel": RANDOM.normal(size=shape).astype(np.float32)}
    layers[f"{layer}/bias"] = RANDOM.normal(size=shape[-1]).astype(np.float32)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        layers[f"{norm}/{name}"] = RANDOM.normal(size=shape[-1]).astype(np.float32)
    return layers


def test_the_bias_before_a_normalisation_is_folded_into_its_mean_without_changing_the_output() -> None:
    layers = _layers("res4c_branch2a", "bn4c_branch2a", (1, 1, 8, 4))
    state = convert(layers)
    pixel = RANDOM.normal(size=8).astype(np.float32)
    kernel, deviation = layers["res4c_branch2a/kernel"][0, 0], 1.5
    ours = (state["layer3.2.conv1.weight"][:, :, 0, 0] @ pixel - state["layer3.2.bn1.running_mean"]) / deviation
    theirs = (pixel @ kernel + layers["res4c_branch2a/bias"] - layers["bn4c_branch2a/moving_mean"]) / deviation
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_first_convolution_takes_rgb_where_the_source_took_bgr() -> None:
    layers = _layers("conv1", "bn_conv1", (7, 7, 3, 4))
    weight = convert(layers)["conv1.weight"]
    assert weight.shape == (4, 3, 7, 7)
    np.testing.assert_array_equal(weight[:, 0], layers["conv1/kernel"][:, :, 2].transpose(2, 0, 1))


def test_the_shortcut_of_a_stage_becomes_the_downsample_of_its_first_block() -> None:
    state = convert(_layers("res2a_branch1", "bn2a_branch1", (1, 1, 3, 5)))
    assert set(state) == {
        "layer1.0.downsample.0.weight",
        *(f"layer1.0.downsample.1.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
    }


def test_a_layer_of_another_network_is_refused() -> None:
    with pytest.raises(FetchError, match="block5_conv1"):
        convert(_layers("block5_conv1", "bn", (1, 1, 3, 5)))


def test_a_shard_that_is_too_short_is_refused() -> None:
    manifest = [{"name": "a", "shape": [2], "dtype": "float32"}, {"name": "b", "shape": [3], "dtype": "float32"}]
    with pytest.raises(FetchError, match="b is not where"):
        list(tensors(manifest, bytes(16)))
