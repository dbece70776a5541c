"""The learning rate as a pure function of the step: to resume, a training needs no more than its step. Pure."""

from __future__ import annotations

import math

from contract.hyperparameters import Hyperparameters

RATES = {("sgd", True): 0.003, ("sgd", False): 0.01, ("adamw", True): 1e-3, ("adamw", False): 1e-4}
STEP_FACTOR = 0.1  # the schedule "step" multiplies by it after each third


def peak(config: Hyperparameters) -> float:
    """The configured learning rate, or the default for the optimizer and mode (frozen backbone or not)."""
    if config.learning_rate is not None:
        return config.learning_rate
    return RATES[config.optimizer, config.freeze_backbone]


def rate(config: Hyperparameters, step: int, *, steps_per_epoch: int) -> float:
    """The learning rate of `step`, which counts from 0 over all epochs."""
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak(config) * (step + 1) / warmup
    done = (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup)
    if config.schedule == "cosine":
        return peak(config) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if config.schedule == "step":
        return float(peak(config) * STEP_FACTOR ** min(2, int(done * 3)))
    return peak(config)
