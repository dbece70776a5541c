"""Golden pictures: a few held-out ones with the answers that training computed, which serving must repeat.

golden.json lies in the artifact, and beside the report. Standard library only: deployment reads it too.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FILE = "golden.json"
TOLERANCE = 0.02  # of a probability, when nothing else is said
LARGEST = 0.25  # no picture may allow more: an answer that far off is no longer an answer to the same question


class GoldenError(ValueError):
    """A golden.json that cannot be read; says where and what."""


@dataclass(frozen=True, kw_only=True)
class Golden:
    """An encoded picture of the class `label`, and the float32 network's probability of each label of the model.

    `tolerance` is how far a probability may be from that: more than TOLERANCE where int8 needs it, by measurement.
    """

    label: str
    picture: bytes
    probabilities: tuple[float, ...]
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance <= LARGEST:
            raise ValueError(f"a tolerance of {self.tolerance:g}: must be above 0 and at most {LARGEST:g}")


def dumps(pictures: Sequence[Golden]) -> str:
    """The file's text."""
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
    """Raises GoldenError."""
    try:
        return tuple(_golden(entry) for entry in json.loads(text)["pictures"])
    except (ValueError, KeyError, TypeError) as error:
        raise GoldenError(f"{where}: cannot be read: {type(error).__name__}: {error}") from error


def difference(golden: Golden, answer: Sequence[float]) -> float:
    """The largest difference of a probability; infinite when `answer` is not one number for each label."""
    if len(answer) != len(golden.probabilities) or not all(math.isfinite(value) for value in answer):
        return math.inf
    return max(abs(got - wanted) for got, wanted in zip(answer, golden.probabilities, strict=True))


def disagreement(golden: Golden, answer: Sequence[float], tolerance: float | None = None) -> str:
    """What is wrong with an answer, in words; "" when it repeats what training computed within the tolerance, which is
    the picture's own unless another is given."""
    found, tolerance = difference(golden, answer), golden.tolerance if tolerance is None else tolerance
    if found <= tolerance:
        return ""
    if math.isinf(found):
        return f"the golden picture of {golden.label}: {len(answer)} numbers for {len(golden.probabilities)} labels"
    at = max(range(len(answer)), key=lambda index: abs(answer[index] - golden.probabilities[index]))
    return (
        f"the golden picture of {golden.label}: label {at} has probability {answer[at]:.3f}, "
        f"training computed {golden.probabilities[at]:.3f} (allowed are {tolerance:g})"
    )


def _golden(entry: Any) -> Golden:
    numbers = tuple(float(value) for value in entry["probabilities"])
    return Golden(
        label=str(entry["label"]),
        picture=base64.b64decode(entry["picture"], validate=True),
        probabilities=numbers,
        tolerance=float(entry.get("tolerance", TOLERANCE)),
    )
