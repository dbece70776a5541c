"""The metric lines that training prints, and the MetricDefinitions with which SageMaker finds their numbers (rule 18).

Training prints one line per epoch on stdout:

    kennel epoch=3 train_loss=0.41230 valid_loss=0.50210 valid_top1=0.82456 …
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIX = "kennel"
NAMES = (
    "epoch",
    "train_loss",
    "train_top1",
    "valid_loss",
    "valid_top1",
    "valid_top5",
    "learning_rate",
    "pictures_per_second",
    "test_loss",
    "test_top1",
    "test_top5",
)
_NUMBER = r"([-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|[-+]?(?:nan|inf))"


def line(values: Mapping[str, float]) -> str:
    """The line for one epoch, or for the closing test. Raises ValueError for a name without a definition."""
    unknown = sorted(set(values) - set(NAMES))
    if unknown:
        raise ValueError(f"metrics {unknown} have no definition; add them to NAMES: {list(NAMES)}")
    return f"{PREFIX} " + " ".join(f"{name}={_text(values[name])}" for name in NAMES if name in values)


def definitions() -> list[dict[str, str]]:
    """MetricDefinitions for CreateTrainingJob: at most 40, each regex at most 500 characters (rule 18)."""
    return [{"Name": name.replace("_", ":", 1), "Regex": rf"{PREFIX} .*\b{name}={_NUMBER}"} for name in NAMES]


def parse(text: str) -> list[dict[str, float]]:
    """The numbers of every metric line in `text`, in order, found by the same regexes that SageMaker uses."""
    rows = []
    for printed in text.splitlines():
        if f"{PREFIX} " in printed:
            hits = {name: re.search(rf"{PREFIX} .*\b{name}={_NUMBER}", printed) for name in NAMES}
            values = {name: float(hit.group(1)) for name, hit in hits.items() if hit}
            if values:
                rows.append(values)
    return rows


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
