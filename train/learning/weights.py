"""Finds the initial weights: in the weights channel, at torchvision's official source, or in a file."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision

from contract import models
from contract.models import ModelError, Weights

SECONDS = 20.0  # timeout of the download when no byte arrives
Download = Callable[[str, Path], Path]


def resolve(choice: str, architecture: str, channel: Path | None, *, cache: Path | None = None) -> Weights | None:
    """The weights for `choice` (imagenet, none or a path); None means random weights. Raises ModelError.

    For imagenet, a file in the `weights` channel whose metadata names `architecture` is used instead of a download.
    """
    if choice == "none":
        return None
    if choice != "imagenet":
        return models.read_weights(Path(choice), architecture=architecture)
    files = candidates(channel)
    fitting = [path for path in files if models.architecture_of(path) == architecture]
    if fitting:
        return models.read_weights(fitting[0], architecture=architecture)
    others = f"; the weights channel holds {', '.join(path.name for path in files)} for other models" if files else ""
    return official(architecture, cache or Path(torch.hub.get_dir()) / "checkpoints", note=others)


def candidates(channel: Path | None) -> list[Path]:
    """The safetensors files of the channel, which may be a folder or one file."""
    if channel is None:
        return []
    return [channel] if channel.is_file() else sorted(channel.rglob("*.safetensors"))


def official(architecture: str, cache: Path, *, note: str = "", download: Download | None = None) -> Weights:
    """torchvision's ImageNet weights, downloaded once into `cache`. `note` is added to the error's message.

    Uses the first release (IMAGENET1K_V1) if there is one: a new head learns better on its features than on those of
    the later recipe. Raises ModelError.
    """
    if architecture not in models.names():
        raise ModelError(f"unknown model {architecture!r}; choose one of {', '.join(models.names())}")
    releases = torchvision.models.get_model_weights(architecture)
    release = getattr(releases, "IMAGENET1K_V1", None) or releases.DEFAULT
    try:
        path = (download or fetch)(release.url, cache)
    except (OSError, urllib.error.URLError) as error:
        raise ModelError(
            f"weights imagenet: {release.url} cannot be reached ({error}){note}. Offline, add a channel `weights` "
            f"(by hand: --weights FILE) with a .safetensors file for {architecture}, or train with --weights none"
        ) from error
    normal = release.transforms()
    return Weights(
        state=torch.load(path, map_location="cpu", weights_only=True),
        architecture=architecture,
        mean=tuple(normal.mean),
        std=tuple(normal.std),
        source=f"torchvision {release}",
    )


def fetch(url: str, cache: Path) -> Path:
    """Downloads `url` into `cache`, unless it is there. Checks the checksum in its name (name-<sha256 start>.pth)."""
    path = cache / url.rsplit("/", 1)[1]
    if path.is_file():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with (
        urllib.request.urlopen(url, timeout=SECONDS) as answer,  # noqa: S310  torchvision's own https address
        tempfile.NamedTemporaryFile(dir=cache, delete=False) as part,
    ):
        while block := answer.read(1 << 20):
            hasher.update(block)
            part.write(block)
    checksum = re.search(r"-([0-9a-f]{8,})\.pth$", path.name)
    if checksum and not hasher.hexdigest().startswith(checksum.group(1)):
        Path(part.name).unlink()
        raise OSError("the download is damaged: its checksum differs from the one in its name")
    os.replace(part.name, path)  # noqa: PTH105
    return path
