"""Golden pictures: a few held-out pictures with the probabilities that training computed. Serving must repeat them.

golden.json is in the artifact and beside the report. Standard library only, because deployment reads it too.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FILE = "golden.json"
TOLERANCE = 0.02  # of a probability, by default
LARGEST = 0.25  # the highest tolerance of a picture: an answer further off means another network


class GoldenError(ValueError):
    """golden.json cannot be read. The message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Golden:
    """An encoded picture of the class `label`, and the float32 network's probability of each label of the model.

    `tolerance` is how far a served probability may differ: more than TOLERANCE if packaging measured that int8 or
    bf16 needs it.
    """

    label: str
    picture: bytes
    probabilities: tuple[float, ...]
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance <= LARGEST:
            raise ValueError(f"tolerance {self.tolerance:g}: must be above 0 and at most {LARGEST:g}")


def dumps(pictures: Sequence[Golden]) -> str:
    """The text of golden.json."""
    entries = [
        {
            "label": each.label,
            "picture": base64.b64encode(each.picture).decode(),
            "probabilities": [round(value, 7) for value in each.probabilities],
            "tolerance": each.tolerance,
        }
        for each in pictures
    ]
    return json.dumps({"pictures": entries}) + "\n"


def loads(text: str | bytes, *, where: str = FILE) -> tuple[Golden, ...]:
    """The golden pictures in the text of golden.json. Raises GoldenError."""
    try:
        return tuple(_golden(entry) for entry in json.loads(text)["pictures"])
    except (ValueError, KeyError, TypeError) as error:
        raise GoldenError(f"{where}: cannot be read: {type(error).__name__}: {error}") from error


def difference(golden: Golden, answer: Sequence[float]) -> float:
    """The largest difference of a probability; infinite if `answer` is not one finite number for each label."""
    if len(answer) != len(golden.probabilities) or not all(math.isfinite(value) for value in answer):
        return math.inf
    return max(abs(got - expected) for got, expected in zip(answer, golden.probabilities, strict=True))


def disagreement(golden: Golden, answer: Sequence[float], tolerance: float | None = None) -> str:
    """What is wrong with an answer, in words; "" if it is within the tolerance (by default the picture's own)."""
    off, tolerance = difference(golden, answer), golden.tolerance if tolerance is None else tolerance
    if off <= tolerance:
        return ""
    if math.isinf(off):
        return f"the golden picture of {golden.label}: {len(answer)} numbers for {len(golden.probabilities)} labels"
    at = max(range(len(answer)), key=lambda index: abs(answer[index] - golden.probabilities[index]))
    return (
        f"the golden picture of {golden.label}: label {at} has probability {answer[at]:.3f}, "
        f"training computed {golden.probabilities[at]:.3f} (tolerance {tolerance:g})"
    )


def _golden(entry: Any) -> Golden:
    numbers = tuple(float(value) for value in entry["probabilities"])
    return Golden(
        label=str(entry["label"]),
        picture=base64.b64decode(entry["picture"], validate=True),
        probabilities=numbers,
        tolerance=float(entry.get("tolerance", TOLERANCE)),
    )
