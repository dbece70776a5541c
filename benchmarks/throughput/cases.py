"""What one rank or many are timed at, as a value that travels by environment variable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

VARIABLE = "KENNEL_THROUGHPUT_CASES"
RESULT = "output/throughput.json"  # below /opt/ml: case's name → pictures a second
ALONE = ", gradients not exchanged"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`frozen`: pictures become features; otherwise the whole network is trained, `batch` pictures a step in all.

    pictures: of the features pass, or of the one epoch that is timed, after a step to warm up.
    """

    name: str
    model: str
    frozen: bool
    crop: int
    batch: int
    pictures: int


def to_text(cases: Sequence[Case]) -> str:
    return json.dumps([asdict(case) for case in cases])


def from_text(text: str) -> list[Case]:
    return [Case(**values) for values in json.loads(text)]
