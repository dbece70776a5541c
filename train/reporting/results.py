"""What a run knows at its end: the report is made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from train.pictures.index import Skipped


@dataclass(frozen=True, kw_only=True)
class Example:
    """A held-out picture (encoded JPEG or PNG bytes, a thumbnail of about 160 px will do) and what the model says."""

    picture: bytes
    truth: str
    predicted: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Results:
    """What rank 0 knows at the end; it calls `report.write`.

    history: one dict per epoch with the names of contract.metrics (epoch, train_loss, valid_top1, …).
    confusion: counts, shape (C, C), rows the truth and columns the prediction, on the split named `split`.
    metrics: the closing numbers (test_top1 …); config: hyperparameters as used; provenance: text by name.
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
