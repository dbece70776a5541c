"""The choice of the engine as model.json records it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from contract.choice import Candidate, Choice
from contract.engine import FALLBACK, Engine, EngineError, named
from contract.machine import Machine

INT8, BF16 = named("onnxruntime-int8"), named("openvino-bf16")


def candidate(engine: Engine, *, one: float, eight: float, accepted: bool = True) -> Candidate:
    return Candidate(engine=engine, accepted=accepted, milliseconds={"1": one, "8": eight})


CHOICE = Choice(
    engine=INT8,
    reason="fast",
    candidates=(
        candidate(FALLBACK, one=40, eight=36),
        candidate(BF16, one=9, eight=8, accepted=False),
        replace(candidate(INT8, one=12, eight=10), top1=0.97, drop=-0.001),
    ),
    machine=Machine(cpu="a", flags=("avx2", "avx512_vnni"), threads=2),
    versions={"onnxruntime": "1.31"},
    reference_top1=0.969,
    pictures=146,
)


def test_a_record_survives_json() -> None:
    assert Choice.from_dict(json.loads(json.dumps(CHOICE.to_dict()))) == CHOICE


def test_accepted_candidates_are_ordered_by_the_mean_over_single_pictures_and_full_batches() -> None:
    assert [each.engine for each in CHOICE.accepted()] == [INT8, FALLBACK]
    assert CHOICE.accepted()[0].cost == 11
    assert Candidate(engine=BF16, accepted=False, milliseconds={"1": 5.0}).cost == 5.0
    assert Candidate(engine=BF16, accepted=False).cost == math.inf


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": {"name": "openvino", "precision": "bf16"}},
        {"engine": {"name": "tensorrt", "precision": "fp16"}},
        {"machine": {"flags": 5}},
        {"machine": {"flags": [], "memory": 1}},
        {"speed": 1},
    ],
    ids=["not accepted", "unknown engine", "flags", "machine", "unknown key"],
)
def test_values_that_are_no_choice_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Choice.from_dict(CHOICE.to_dict() | changes)


@pytest.mark.parametrize("text", ["", "int8", "openvino", "onnxruntime-bf16", "openvino-int8-fast"])
def test_an_unknown_engine_is_refused_and_all_engines_are_listed(text: str) -> None:
    with pytest.raises(EngineError, match="choose from onnxruntime-fp32, onnxruntime-int8, openvino-fp32"):
        named(text)
