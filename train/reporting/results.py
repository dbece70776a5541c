"""The results of a training, from which the report is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from train.pictures.index import Skipped


@dataclass(frozen=True, kw_only=True)
class Example:
    """A held-out picture (JPEG or PNG bytes, a thumbnail of about 160 px) and the model's prediction."""

    picture: bytes
    truth: str
    predicted: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results that rank 0 gives to `report.write`.

    history: one dict per epoch with the names of contract.metrics (epoch, train_loss, valid_top1, …).
    confusion: counts, shape (C, C), rows the truth and columns the prediction, on the split named `split`.
    metrics: the closing numbers (test_top1 …). config: the hyperparameters. provenance: text by name.
    """

    labels: tuple[str, ...]
    history: tuple[dict[str, float], ...]
    confusion: npt.NDArray[np.int64]
    split: str = "test"
    metrics: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    examples: tuple[Example, ...] = ()
