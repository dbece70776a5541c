"""Makes the golden pictures: held-out pictures, encoded small, with the probabilities that training computes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from contract.golden import Golden
from contract.preprocess import Preprocessing, open_picture, to_array
from train.pictures.index import Sample
from train.reporting import examples

COUNT = 4
QUALITY = 90


def choose(
    samples: Sequence[Sample], labels: Sequence[str], preprocessing: Preprocessing
) -> tuple[tuple[str, bytes], ...]:
    """(label, encoded picture) of COUNT samples."""
    chosen = examples.choose(samples, COUNT)
    return tuple((labels[sample.label], encode(sample, preprocessing)) for sample in chosen)


def encode(sample: Sample, preprocessing: Preprocessing) -> bytes:
    """A JPEG whose shorter side is the preprocessing's `resize`."""
    image = open_picture(sample.path.read_bytes(), shorter_side=preprocessing.resize)
    scale = preprocessing.resize / min(image.size)
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def compute(
    model: nn.Module, pictures: Sequence[tuple[str, bytes]], preprocessing: Preprocessing
) -> tuple[Golden, ...]:
    """The golden pictures from (label, encoded picture). `model` must be on the CPU, float32, in eval mode."""
    if not pictures:
        return ()
    arrays = [
        to_array(open_picture(picture, shorter_side=preprocessing.resize), preprocessing) for _, picture in pictures
    ]
    with torch.no_grad():
        rows = model(torch.from_numpy(np.stack(arrays))).double().softmax(dim=1).tolist()
    return tuple(
        Golden(label=label, picture=picture, probabilities=tuple(row))
        for (label, picture), row in zip(pictures, rows, strict=True)
    )
