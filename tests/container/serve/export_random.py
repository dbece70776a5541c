"""Runs inside the training image: a network with random weights, exported as training exports it, and torch's logits.

Arguments: a folder for the artifact, a folder with pictures, a file for the logits (npy, pictures in order of name).
"""

import sys
from pathlib import Path

import numpy as np
import torch

from contract import models
from contract.artifact import Manifest
from contract.preprocess import Preprocessing, open_picture, to_array
from train.packaging.export import export

LABELS = tuple(f"class {index}" for index in range(14))


def main(folder: Path, pictures: Path, logits: Path) -> None:
    torch.manual_seed(7)
    model = models.build("resnet18", len(LABELS))
    preprocessing = Preprocessing()
    inputs = torch.from_numpy(
        np.stack(
            [
                to_array(open_picture(path.read_bytes(), shorter_side=preprocessing.resize), preprocessing)
                for path in sorted(pictures.iterdir())
            ]
        )
    )
    with torch.no_grad():
        model.train()(inputs)  # batch norm learns from the pictures, so that its statistics are not the initial ones
        np.save(logits, model.eval()(inputs).numpy())
    export(model, Manifest(architecture="resnet18", labels=LABELS, preprocessing=preprocessing), inputs, folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
