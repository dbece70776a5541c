"""A model serves only when it repeats what training computed for its golden pictures: else /ping never says 200, and a
blue/green update goes back by itself before any traffic has reached it."""

from __future__ import annotations

import logging

import numpy as np

from contract.artifact import ArtifactError
from contract.golden import difference, disagreement
from contract.preprocess import MAX_PIXELS
from serve import codec
from serve.codec import BadRequestError
from serve.predictor import Predictor


def check(predictor: Predictor, tolerance: float | None = None) -> None:
    """Asks the model its golden pictures, decoded as callers' are. Raises ArtifactError when an answer differs by more
    than each picture allows, or than `tolerance` where it is given."""
    log = logging.getLogger("kennel.serve")
    if not predictor.golden:
        log.info("no golden pictures in this artifact: its answers are not held against training's")
        return
    largest = 0.0
    for golden in predictor.golden:
        try:
            inputs = codec.decode(golden.picture, predictor.preprocessing, max_pixels=MAX_PIXELS)
        except BadRequestError as error:
            raise ArtifactError(f"the golden picture of {golden.label}: {error}") from error
        answer = codec.softmax(predictor.logits(np.stack([inputs])))[0].tolist()
        if wrong := disagreement(golden, answer, tolerance):
            raise ArtifactError(f"{wrong}: this network, or how its pictures are prepared, is not what was trained")
        largest = max(largest, difference(golden, answer))
    log.info("%d golden pictures answered as in training, within %.2g", len(predictor.golden), largest)
