"""Which engine serves: the recorded one on a CPU with the same features, else the fastest of the accepted ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.artifact import ArtifactError, DamagedError, Manifest
from contract.choice import Candidate, Choice
from contract.engine import FALLBACK, Engine, EngineError, Network, named
from contract.machine import Machine
from contract.preprocess import FloatArray
from serve import engine_choice
from tests.unit.serve.artifacts import manifest

INT8, BF16, OTHER = named("onnxruntime-int8"), named("openvino-bf16"), named("openvino-fp32")
HERE = Machine(cpu="here", flags=("avx512_vnni", "avx512_bf16"), threads=3)
ELSEWHERE = Machine(cpu="elsewhere", flags=("avx512_vnni", "avx512_bf16", "amx_int8"), threads=2)
OLD = Machine(cpu="old", flags=("avx2",), threads=1)


def packaged(on: Machine = HERE, *, files: tuple[str, ...] = ("model.onnx", "model.int8.onnx")) -> Manifest:
    """int8 was fastest; fp32 was accepted in both engines, bf16 was not."""
    candidates = [
        Candidate(engine=engine, accepted=True, milliseconds={"1": cost, "8": cost})
        for engine, cost in ((INT8, 10.0), (OTHER, 30.0), (FALLBACK, 40.0))
    ]
    candidates.append(Candidate(engine=BF16, accepted=False, reason="top-1 drops 2.0 pt"))
    choice = Choice(engine=INT8, reason="10.0 ms a picture", candidates=tuple(candidates), machine=on)
    return replace(manifest(), serving=choice, files=dict.fromkeys(files, "ab" * 32))


@dataclass
class Fakes:
    """Engines that take the given milliseconds, on a clock that nothing else moves."""

    costs: dict[Engine, float] = field(default_factory=dict)
    refused: tuple[Engine, ...] = ()
    failing: tuple[Engine, ...] = ()
    damaged: tuple[str, ...] = ()
    now: float = 0.0
    opened: list[tuple[str, str, int]] = field(default_factory=list)

    def open(self, source: Path, engine: Engine, *, threads: int) -> Network:
        self.opened.append((source.as_posix(), str(engine), threads))
        if source.name in self.damaged:
            raise DamagedError(f"{source.name}: checksum differs")
        if engine in self.refused:
            raise EngineError(f"{source.name}: {engine} refuses it")

        def run(pictures: FloatArray) -> Any:
            if engine in self.failing:
                raise RuntimeError("illegal instruction")
            self.now += len(pictures) * self.costs.get(engine, 1.0) / 1000
            return np.zeros((len(pictures), 3), dtype=np.float32)

        return Network(
            engine=engine, inputs=(), outputs=(), run=run, streams=lambda _: self.open(source, engine, threads=1)
        )

    def choose(self, manifest: Manifest, machine: Machine = HERE, name: str = engine_choice.AUTO) -> tuple[Engine, str]:
        network, reason = engine_choice.choose_network(
            Path("model"), manifest, machine, name, open_network=self.open, clock=lambda: self.now
        )
        return network.engine, reason


def test_on_a_machine_with_the_same_features_the_recorded_engine_serves_and_nothing_is_measured() -> None:
    fakes = Fakes()
    assert fakes.choose(packaged()) == (INT8, "as packaged: 10.0 ms a picture")
    assert fakes.opened == [("model/model.int8.onnx", "onnxruntime-int8", 3)]
    assert fakes.now == 0.0


def test_on_another_machine_the_accepted_engines_are_measured_and_the_fastest_serves_with_the_reason() -> None:
    fakes = Fakes({INT8: 9, OTHER: 7, FALLBACK: 11, BF16: 1})
    engine, reason = fakes.choose(packaged(ELSEWHERE))
    assert (engine, len(fakes.opened)) == (OTHER, 3)
    assert reason == (
        "packaged on elsewhere; measured here: onnxruntime-int8 9.0 ms, openvino-fp32 7.0 ms, onnxruntime-fp32 11.0 ms"
    )


def test_where_the_cpu_lacks_a_feature_of_the_recorded_engine_the_others_are_measured() -> None:
    engine, reason = Fakes({OTHER: 30, FALLBACK: 20}).choose(packaged(), OLD)
    assert engine == FALLBACK
    assert reason.startswith("onnxruntime-int8 is not supported by this CPU, which has none of avx512_vnni")
    assert reason.endswith("measured here: openvino-fp32 30.0 ms, onnxruntime-fp32 20.0 ms")


def test_a_single_remaining_engine_is_not_measured() -> None:
    artifact = packaged()
    alone = tuple(each for each in artifact.serving.candidates if each.engine in (INT8, FALLBACK))
    fakes = Fakes()
    engine, _ = fakes.choose(replace(artifact, serving=replace(artifact.serving, candidates=alone)), OLD)
    assert (engine, fakes.now, len(fakes.opened)) == (FALLBACK, 0.0, 1)


def test_where_no_accepted_engine_can_run_the_fallback_serves() -> None:
    rounded = Choice(engine=INT8, candidates=(Candidate(engine=INT8, accepted=True),), machine=HERE)
    assert Fakes().choose(replace(packaged(), serving=rounded), OLD)[0] == FALLBACK
    assert Fakes().choose(replace(packaged(), serving=Choice(engine=INT8)), OLD)[0] == FALLBACK


def test_an_artifact_of_format_1_is_served_as_it_always_was() -> None:
    assert Fakes().choose(manifest()) == (FALLBACK, "as packaged: not measured")


@pytest.mark.parametrize("fault", ["refused", "failing"])
def test_what_does_not_open_or_compute_on_another_machine_is_skipped_and_reported(fault: str) -> None:
    fakes = Fakes({OTHER: 7, FALLBACK: 11})
    setattr(fakes, fault, (INT8,))
    engine, reason = fakes.choose(packaged(ELSEWHERE))
    assert engine == OTHER
    assert "onnxruntime-int8 fails: " in reason


def test_a_recorded_engine_that_does_not_open_falls_back_to_the_one_that_always_opens() -> None:
    engine, reason = Fakes(refused=(INT8,)).choose(packaged())
    assert engine == FALLBACK
    assert reason.endswith("model.int8.onnx: onnxruntime-int8 refuses it; fell back to onnxruntime-fp32")


def test_an_artifact_that_no_engine_opens_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx: onnxruntime-fp32 refuses it"):
        Fakes(refused=(INT8, OTHER, FALLBACK)).choose(packaged(ELSEWHERE))


def test_the_named_engine_serves_wherever_the_artifact_was_packaged() -> None:
    fakes = Fakes({INT8: 1})
    assert fakes.choose(packaged(ELSEWHERE), name="openvino-fp32") == (OTHER, "chosen by KENNEL_ENGINE")
    assert (fakes.now, len(fakes.opened)) == (0.0, 1)


def test_an_engine_that_packaging_did_not_accept_serves_when_named_but_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "kennel.serve")
    assert Fakes().choose(packaged(), name="openvino-bf16")[0] == BF16
    assert "KENNEL_ENGINE=openvino-bf16: packaging did not accept this engine: top-1 drops 2.0 pt" in caplog.text


@pytest.mark.parametrize(
    ("name", "machine", "message"),
    [
        (
            "openvino-int8",
            HERE,
            r"KENNEL_ENGINE=openvino-int8: the artifact has no model\.int8\.onnx; unset it or train again",
        ),
        (
            "openvino-bf16",
            OLD,
            "KENNEL_ENGINE=openvino-bf16: not supported by this CPU, .* or set it to onnxruntime-fp32",
        ),
        ("tensorrt-fp16", HERE, "KENNEL_ENGINE: unknown engine tensorrt-fp16: choose from onnxruntime-fp32, "),
    ],
)
def test_an_engine_that_cannot_serve_is_refused_with_the_fix(name: str, machine: Machine, message: str) -> None:
    fakes = Fakes()
    with pytest.raises(ArtifactError, match=message):
        fakes.choose(packaged(files=("model.onnx",)), machine, name)
    assert fakes.opened == []


def test_a_named_engine_that_does_not_open_is_refused_and_not_replaced() -> None:
    with pytest.raises(ArtifactError, match="openvino-fp32 refuses it"):
        Fakes(refused=(OTHER,)).choose(packaged(), name="openvino-fp32")


@pytest.mark.parametrize("on", [HERE, ELSEWHERE])
def test_a_damaged_file_is_refused_and_no_slower_engine_serves_instead(on: Machine) -> None:
    with pytest.raises(DamagedError, match=r"model\.int8\.onnx: checksum differs"):
        Fakes(damaged=("model.int8.onnx",)).choose(packaged(on))


def test_a_file_that_is_not_needed_is_not_opened_and_may_be_damaged() -> None:
    assert Fakes(damaged=("model.onnx",)).choose(packaged())[0] == INT8
