"""The choice of the inference engine and its reasons: the candidates that packaging measured, kept in model.json."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contract.engine import FALLBACK, Engine
from contract.machine import Machine

ONE, FULL = 1, 8  # batch sizes to time candidates with


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One engine as measured on the machine that packaged the model. None means not measured.

    `milliseconds` are per picture, by batch size: "1", and "8" unless the engine was far slower at one. `top1` is the
    accuracy on the validation split, `drop` how much lower that is than with ONNX Runtime in fp32 (both shares, 0 to
    1). `reason` says why the engine is not accepted.
    """

    engine: Engine
    accepted: bool
    reason: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    top1: float | None = None
    drop: float | None = None

    @property
    def cost(self) -> float:
        """Milliseconds per picture, averaged over the batch sizes, because servers get single pictures and batches."""
        return statistics.fmean(self.milliseconds.values()) if self.milliseconds else math.inf


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The engine to serve with, and the measurements behind it. An artifact of format 1 has the default engine.

    `reference_top1` is the accuracy of ONNX Runtime in fp32 on `pictures` pictures of the validation split. Export has
    checked its logits against torch's.
    """

    engine: Engine = FALLBACK
    reason: str = "not measured"
    candidates: tuple[Candidate, ...] = ()
    machine: Machine = field(default_factory=Machine)
    versions: Mapping[str, str] = field(default_factory=dict)
    reference_top1: float | None = None
    pictures: int = 0

    def accepted(self) -> tuple[Candidate, ...]:
        """The candidates that may serve, the fastest first."""
        return tuple(sorted((each for each in self.candidates if each.accepted), key=lambda each: each.cost))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Choice:
        """A Choice from decoded JSON. Raises KeyError, TypeError or ValueError."""
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
