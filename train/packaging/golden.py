"""Golden pictures are made here: held-out ones, encoded small, with what the exported network says of them."""

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


def chosen(
    samples: Sequence[Sample], labels: Sequence[str], preprocessing: Preprocessing
) -> tuple[tuple[str, bytes], ...]:
    """A few of the samples, each as its label and the encoded picture."""
    kept = examples.choose(samples, COUNT)
    return tuple((labels[sample.label], encoded(sample, preprocessing)) for sample in kept)


def encoded(sample: Sample, preprocessing: Preprocessing) -> bytes:
    """A JPEG of just the size that the network's preprocessing begins with."""
    image = open_picture(sample.path.read_bytes(), shorter_side=preprocessing.resize)
    scale = preprocessing.resize / min(image.size)
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def answered(
    model: nn.Module, pictures: Sequence[tuple[str, bytes]], preprocessing: Preprocessing
) -> tuple[Golden, ...]:
    """(label, encoded picture) each, with the probabilities of `model`, which is on the CPU, float32 and in eval."""
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
