"""The artifact of a trained network: weights, ONNX and model.json, checked against each other before serving."""

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

TOLERANCE = 1e-3  # of the largest logit, at least of 1
EXAMPLES = 2  # any number but 1, which the exporter would take for a constant
CHECKED = 3  # another number than EXAMPLES, so that the check sees the batch vary


class ExportError(RuntimeError):
    """The network could not be written so that serving computes what training computed."""


def export(
    model: nn.Module,
    manifest: Manifest,
    pictures: torch.Tensor,
    folder: Path,
    *,
    variant: str = "",
    held_out: Sequence[Sample] = (),
) -> Manifest:
    """Writes the artifact into `folder`. A few of the samples `held_out` become its golden pictures.

    `pictures` as for `files`. Raises ExportError.
    """
    files(model, manifest, pictures, folder, variant=variant)
    normal = manifest.preprocessing
    answers = golden.answered(model, golden.chosen(held_out, manifest.labels, normal), normal)
    return complete(manifest, folder, answers)


def files(model: nn.Module, manifest: Manifest, pictures: torch.Tensor, folder: Path, *, variant: str = "") -> None:
    """Writes the weights and the network into `folder`, which is no artifact until `complete`.

    `pictures` float32 (N, 3, crop, crop) are real ones, N at least 1, on which torch and ONNX must agree. The network
    is left in eval mode, float32, on the CPU. Raises ExportError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifact.MANIFEST).unlink(missing_ok=True)  # while the rest changes there is no artifact
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
    """Writes the golden pictures and model.json beside the other files: from here on it is an artifact."""
    (folder / contract_golden.FILE).unlink(missing_ok=True)
    if answers:
        (folder / contract_golden.FILE).write_text(contract_golden.dumps(answers), encoding="utf-8")
    return artifact.write(folder, manifest)


def write_onnx(model: nn.Module, path: Path, *, crop: int) -> None:
    """The network in one ONNX file: any batch size, logits out."""
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
    """The largest difference between torch's logits and those of the ONNX file in the engine that always can serve it.

    Raises ExportError when it is above TOLERANCE.
    """
    pictures = pictures[torch.arange(CHECKED) % len(pictures)]
    with torch.no_grad():
        wanted = model(pictures).numpy()
    got = open_network(path, FALLBACK, threads=max(1, torch.get_num_threads())).logits(pictures.numpy())
    if got.shape != wanted.shape:
        raise ExportError(f"{path}: logits of shape {got.shape}, torch gives {wanted.shape}")
    difference = float(np.abs(got - wanted).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise ExportError(f"{path}: logits differ from torch's by {difference:g}; please report this model")
    return difference
