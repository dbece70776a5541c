"""Networks by their torchvision name: builds them, splits off the head, reads and writes their weights.

Weights are safetensors with torchvision's state-dict names and this metadata: `architecture`, `variant`, `mean`, `std`
(JSON lists, values scaled to 0..1), `source`, and `labels` (a JSON list) if the file has a trained head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import torchvision
from torch import nn

from contract.preprocess import IMAGENET_MEAN, IMAGENET_STD

VARIANTS = ("", "v1")
V1_EPSILON = 1e-3
_WITHOUT = ("inception", "googlenet", "squeezenet")  # these have two outputs in training, or no linear head


class ModelError(ValueError):
    """The network or the weights cannot be used. The message says which, why and the fix."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The tensors of a network by name, and the facts needed to use them (see the module's docstring)."""

    state: Mapping[str, torch.Tensor]
    architecture: str
    variant: str = ""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    source: str = ""
    labels: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """Every network that `build` knows."""
    listed = torchvision.models.list_models(module=torchvision.models)
    return tuple(name for name in listed if not name.startswith(_WITHOUT))


def build(architecture: str, num_classes: int, variant: str = "") -> nn.Module:
    """A network with random weights from torch's generator and a head for `num_classes`.

    Variant "v1" is the original ResNet: stride in the 1×1 convolution, BatchNorm epsilon 1e-3. Raises ModelError.
    """
    if architecture not in names():
        raise ModelError(f"unknown model {architecture!r}; choose one of {', '.join(names())}")
    if variant not in VARIANTS:
        raise ModelError(f"unknown variant {variant!r} of {architecture}; choose one of {list(VARIANTS)}")
    model = torchvision.models.get_model(architecture, weights=None, num_classes=num_classes)
    if variant == "v1":
        _make_v1(model, architecture)
    return model


def check_side(model: nn.Module, architecture: str, crop: int) -> None:
    """Raises ModelError if `model` has a fixed input size other than `crop`, as vision transformers may."""
    side = getattr(model, "image_size", crop)
    if side != crop:
        raise ModelError(f"{architecture} takes pictures of {side} pixels, not {crop}: use --crop {side}")


def head_name(model: nn.Module) -> str:
    """The dotted name of the last linear layer. Every network of `names` ends with one."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ModelError(f"{type(model).__name__} has no linear head")
    return str(linear[-1])


def head_of(model: nn.Module) -> nn.Linear:
    """The last linear layer. Its inputs are the features (N, head.in_features)."""
    head: nn.Linear = model.get_submodule(head_name(model))
    return head


def attach_head(model: nn.Module, head: nn.Module, name: str) -> None:
    """Sets the submodule `name` of `model` to `head`; with nn.Identity() the model then computes features."""
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, head)


def load(model: nn.Module, weights: Weights, *, labels: tuple[str, ...] = ()) -> bool:
    """Copies `weights` into `model`. Copies the head only if the weights have the same `labels`; returns if it did.

    All other tensors must have the same names and shapes. Raises ModelError.
    """
    head = head_name(model)
    own = model.state_dict()
    keep_head = bool(labels) and weights.labels == labels
    offered = {key: value for key, value in weights.state.items() if keep_head or not _below(key, head)}
    needed = {key: value.shape for key, value in own.items() if keep_head or not _below(key, head)}
    missing = sorted(key for key in needed if key not in offered and not key.endswith("num_batches_tracked"))
    extra = sorted(set(offered) - set(needed))
    shapes = sorted(key for key in offered if key in needed and offered[key].shape != needed[key])
    for problem, keys in (("misses", missing), ("has unknown", extra), ("has other shapes for", shapes)):
        if keys:
            raise ModelError(f"weights {weights.source or '?'}: {problem} {_some(keys)}; not made for this network")
    model.load_state_dict(offered, strict=False)
    return keep_head


def read_weights(path: Path, *, architecture: str) -> Weights:
    """Weights for `architecture` from a safetensors file, also a model.safetensors of Kennel. Raises ModelError."""
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            about: dict[str, str] = stream.metadata() or {}
            _check_architecture(path, about, architecture)
            state = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118  not a mapping
    except FileNotFoundError:
        raise ModelError(f"weights {path}: no such file") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"weights {path}: not a readable safetensors file: {error}") from error
    try:
        return _from_metadata(about, state, path)
    except (TypeError, ValueError) as error:
        raise ModelError(f"weights {path}: metadata cannot be read: {error}") from error


def write_weights(path: Path, weights: Weights) -> None:
    """Writes a safetensors file that `read_weights` reads."""
    about = {
        "architecture": weights.architecture,
        "variant": weights.variant,
        "mean": json.dumps(list(weights.mean)),
        "std": json.dumps(list(weights.std)),
        "source": weights.source,
        "labels": json.dumps(list(weights.labels)),
    }
    state = {key: value.detach().cpu().contiguous() for key, value in weights.state.items()}
    safetensors.torch.save_file(state, path, metadata=about)
    path.chmod(0o644)  # safetensors makes it readable for its owner only; serving may run as another user


def architecture_of(path: Path) -> str:
    """The architecture in a weights file's metadata; empty if it has none or is no safetensors file."""
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            return str((stream.metadata() or {}).get("architecture", ""))
    except (OSError, safetensors.SafetensorError):
        return ""


def _check_architecture(path: Path, about: Mapping[str, str], architecture: str) -> None:
    made_for = about.get("architecture", "")
    if made_for and made_for != architecture:
        raise ModelError(f"weights {path}: made for {made_for}, not {architecture}; use --model {made_for}")


def _from_metadata(about: Mapping[str, str], state: Mapping[str, torch.Tensor], path: Path) -> Weights:
    return Weights(
        state=state,
        architecture=about.get("architecture", ""),
        variant=about.get("variant", ""),
        mean=_three(about.get("mean"), IMAGENET_MEAN),
        std=_three(about.get("std"), IMAGENET_STD),
        source=about.get("source") or path.name,
        labels=tuple(json.loads(about.get("labels", "[]"))),
    )


def _three(text: str | None, default: tuple[float, float, float]) -> tuple[float, float, float]:
    if text is None:
        return default
    red, green, blue = (float(number) for number in json.loads(text))
    return (red, green, blue)


def _make_v1(model: nn.Module, architecture: str) -> None:
    blocks: list[Any] = [getattr(model, f"layer{number}", [None])[0] for number in (2, 3, 4)]
    if not all(hasattr(block, "conv3") for block in blocks):
        raise ModelError(f"variant v1 is for bottleneck ResNets (resnet50 and deeper), not {architecture}")
    for block in blocks:
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = V1_EPSILON


def _below(key: str, name: str) -> bool:
    return key.startswith(f"{name}.")


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
