"""Writes the artifact of a trained network: weights, ONNX and model.json; checks that ONNX and torch agree."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from contract import artifact, models
from contract import golden as contract_golden
from contract.artifact import Manifest
from contract.engine import FALLBACK, open_network
from contract.golden import Golden
from contract.models import Weights
from train.packaging import golden, strides
from train.pictures.index import Sample

TOLERANCE = 1e-3  # as a share of the largest logit, or of 1 where that is larger
EXAMPLES = 2  # not 1: the exporter would make the batch size a constant
CHECKED = 3  # differs from EXAMPLES, so that the check covers another batch size


class ExportError(RuntimeError):
    """The exported network does not compute the same as the trained one."""


def export(
    model: nn.Module,
    manifest: Manifest,
    pictures: torch.Tensor,
    folder: Path,
    *,
    variant: str = "",
    held_out: Sequence[Sample] = (),
) -> Manifest:
    """Writes the artifact into `folder`, with golden pictures from the samples `held_out`.

    `pictures` as for `write_networks`. Raises ExportError.
    """
    write_networks(model, manifest, pictures, folder, variant=variant)
    normal = manifest.preprocessing
    answers = golden.compute(model, golden.choose(held_out, manifest.labels, normal), normal)
    return complete(manifest, folder, answers)


def write_networks(
    model: nn.Module, manifest: Manifest, pictures: torch.Tensor, folder: Path, *, variant: str = ""
) -> None:
    """Writes the weights and the ONNX network into `folder`. `complete` then makes an artifact of it.

    `pictures` float32 (N, 3, crop, crop) are at least one real picture, on which torch and ONNX must agree. Leaves
    `model` in eval mode, float32, on the CPU. Raises ExportError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifact.MANIFEST).unlink(missing_ok=True)  # no artifact while its files change
    (folder / artifact.INT8_NETWORK).unlink(missing_ok=True)
    model.cpu().float().eval().to(memory_format=torch.contiguous_format)
    normal = manifest.preprocessing
    weights = Weights(
        state=model.state_dict(),
        architecture=manifest.architecture,
        variant=variant,
        mean=normal.mean,
        std=normal.std,
        source=f"kennel {manifest.provenance.data_sha256[:12]}".strip(),
        labels=manifest.labels,
    )
    models.write_weights(folder / artifact.WEIGHTS, weights)
    write_onnx(model, folder / artifact.NETWORK, crop=normal.crop)
    check(model, folder / artifact.NETWORK, pictures)


def complete(manifest: Manifest, folder: Path, answers: Sequence[Golden]) -> Manifest:
    """Writes the golden pictures and model.json. The folder is an artifact from now on."""
    (folder / contract_golden.FILE).unlink(missing_ok=True)
    if answers:
        (folder / contract_golden.FILE).write_text(contract_golden.dumps(answers), encoding="utf-8")
    return artifact.write(folder, manifest)


def write_onnx(model: nn.Module, path: Path, *, crop: int) -> None:
    """Writes the network as one ONNX file: pictures in, logits out, with a free batch size."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(
        model,
        (torch.zeros(EXAMPLES, 3, crop, crop),),
        path,
        input_names=[artifact.INPUT_NAME],
        output_names=[artifact.OUTPUT_NAME],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    onnx.save(strides.move(onnx.load(path)), path)
    onnx.checker.check_model(str(path), full_check=True)


def check(model: nn.Module, path: Path, pictures: torch.Tensor) -> float:
    """The largest difference between torch's logits and those of the ONNX file in the FALLBACK engine.

    Raises ExportError when the difference is above TOLERANCE.
    """
    pictures = pictures[torch.arange(CHECKED) % len(pictures)]
    with torch.no_grad():
        expected = model(pictures).numpy()
    got = open_network(path, FALLBACK, threads=max(1, torch.get_num_threads())).logits(pictures.numpy())
    if got.shape != expected.shape:
        raise ExportError(f"{path}: logits of shape {got.shape}, torch gives {expected.shape}")
    difference = float(np.abs(got - expected).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportError(f"{path}: logits differ from torch's by {difference:g}; please report this model")
    return difference
