"""Where the starting weights come from: the channel, torchvision's official source, a file, or chance."""

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

SECONDS = 20.0  # without a byte from the download's source
Download = Callable[[str, Path], Path]


def resolve(choice: str, architecture: str, channel: Path | None, *, cache: Path | None = None) -> Weights | None:
    """The weights that `choice` (imagenet, none or a path) means; None starts from chance. Raises ModelError.

    For imagenet a file in the `weights` channel that says it is for `architecture` goes before a download.
    """
    if choice == "none":
        return None
    if choice != "imagenet":
        return models.read_weights(Path(choice), architecture=architecture)
    files = candidates(channel)
    fitting = [path for path in files if models.architecture_of(path) == architecture]
    if fitting:
        return models.read_weights(fitting[0], architecture=architecture)
    seen = f"; the weights channel holds {', '.join(path.name for path in files)} for other models" if files else ""
    return official(architecture, cache or Path(torch.hub.get_dir()) / "checkpoints", seen=seen)


def candidates(channel: Path | None) -> list[Path]:
    """The safetensors files of the channel, which may be a folder or one file."""
    if channel is None:
        return []
    return [channel] if channel.is_file() else sorted(channel.rglob("*.safetensors"))


def official(architecture: str, cache: Path, *, seen: str = "", download: Download | None = None) -> Weights:
    """torchvision's ImageNet weights, downloaded once into `cache`.

    The first release (IMAGENET1K_V1) where there is one: its features suit a new head better than the later recipe's.
    """
    if architecture not in models.names():
        raise ModelError(f"unknown model {architecture!r}; known are {', '.join(models.names())}")
    releases = torchvision.models.get_model_weights(architecture)
    release = getattr(releases, "IMAGENET1K_V1", None) or releases.DEFAULT
    try:
        path = (download or fetch)(release.url, cache)
    except (OSError, urllib.error.URLError) as error:
        raise ModelError(
            f"weights imagenet: {release.url} cannot be reached ({error}){seen}; offline, give a channel `weights` "
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
    """The file of `url` in `cache`, checked against the checksum in its name (name-<sha256's start>.pth)."""
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
    wanted = re.search(r"-([0-9a-f]{8,})\.pth$", path.name)
    if wanted and not hasher.hexdigest().startswith(wanted.group(1)):
        Path(part.name).unlink()
        raise OSError("the download is damaged: its checksum is not the one in its name")
    os.replace(part.name, path)  # noqa: PTH105
    return path
