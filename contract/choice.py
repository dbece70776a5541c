"""Which engine serves a model, and why: the candidates that packaging measured, written into model.json."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contract.engine import FALLBACK, Engine
from contract.machine import Machine

ONE, FULL = 1, 8  # pictures at once that candidates are timed with


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One engine, as measured on the machine that packaged. What was not measured is None.

    `milliseconds` are a picture's, by the number of pictures at once: "1", and "8" unless it was far behind at one.
    `top1` is of the validation split, `drop` how much less that is than the fp32 reference's (both shares, 0 to 1).
    `reason` says why it is not accepted.
    """

    engine: Engine
    accepted: bool
    reason: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    top1: float | None = None
    drop: float | None = None

    @property
    def cost(self) -> float:
        """Milliseconds a picture, the mean of those measured: servers see single pictures and full batches."""
        return statistics.fmean(self.milliseconds.values()) if self.milliseconds else math.inf


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The engine to serve with, and how it was found. An artifact of format 1 has the default: ONNX Runtime, fp32.

    `reference_top1` is that of ONNX Runtime in fp32, which export held to torch's logits, on the `pictures` pictures of
    the validation split.
    """

    engine: Engine = FALLBACK
    reason: str = "not measured"
    candidates: tuple[Candidate, ...] = ()
    machine: Machine = field(default_factory=Machine)
    versions: Mapping[str, str] = field(default_factory=dict)
    reference_top1: float | None = None
    pictures: int = 0

    def accepted(self) -> tuple[Candidate, ...]:
        """Those that may serve, the fastest first."""
        return tuple(sorted((each for each in self.candidates if each.accepted), key=lambda each: each.cost))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Choice:
        """Raises KeyError, TypeError or ValueError for what is no choice."""
        candidates = tuple(
            Candidate(**{**each, "engine": Engine(**each["engine"])}) for each in values.get("candidates", ())
        )
        choice = Choice(
            **{
                **values,
                "engine": Engine(**values["engine"]),
                "candidates": candidates,
                "machine": Machine.from_dict(values["machine"]),
            }
        )
        if candidates and choice.engine not in [each.engine for each in choice.accepted()]:
            raise ValueError(f"the engine {choice.engine} is none of the accepted candidates")
        return choice
