"""Checks that a model computes for its golden pictures what training computed for them.

If it does not, /ping never answers 200, and a blue/green update rolls back before any traffic reaches the model.
"""

from __future__ import annotations

import logging

import numpy as np

from contract.artifact import ArtifactError
from contract.golden import difference, disagreement
from contract.preprocess import MAX_PIXELS
from serve import codec
from serve.errors import BadRequestError
from serve.predictor import Predictor


def check(predictor: Predictor, tolerance: float | None = None) -> None:
    """Classifies the golden pictures, decoded as callers' pictures are. Raises ArtifactError when a probability differs
    from training's by more than the picture's own tolerance, or than `tolerance` if that is given."""
    log = logging.getLogger("kennel.serve")
    if not predictor.golden:
        log.info("the artifact has no golden pictures: its answers are not compared with training's")
        return
    largest = 0.0
    for golden in predictor.golden:
        try:
            inputs = codec.decode(golden.picture, predictor.preprocessing, max_pixels=MAX_PIXELS)
        except BadRequestError as error:
            raise ArtifactError(f"the golden picture of {golden.label} cannot be decoded: {error}") from error
        answer = codec.softmax(predictor.logits(np.stack([inputs])))[0].tolist()
        if fault := disagreement(golden, answer, tolerance):
            raise ArtifactError(f"{fault}: the network or its preprocessing differs from what was trained")
        largest = max(largest, difference(golden, answer))
    log.info("%d golden pictures are answered as in training, within %.2g", len(predictor.golden), largest)
