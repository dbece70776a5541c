"""The cases that the scaling benchmark times, passed to the ranks in an environment variable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

VARIABLE = "KENNEL_THROUGHPUT_CASES"
RESULT = "output/throughput.json"  # below /opt/ml: pictures a second by the case's name
ALONE = ", gradients not exchanged"


@dataclass(frozen=True, kw_only=True)
class Case:
    """frozen: time the features pass; otherwise time training of the whole network.

    batch: pictures a step, summed over all ranks. pictures: how many are timed, in the features pass or in one epoch
    that follows a warm-up step.
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
