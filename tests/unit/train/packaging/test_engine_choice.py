"""The choice of the inference engine: the fastest of equal accuracy, and no failing engine fails a training."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.choice import Candidate, Choice
from contract.engine import ENGINES, FALLBACK, KNOWN, Engine, EngineError, Network, named
from contract.golden import Golden
from contract.machine import Machine
from contract.preprocess import FloatArray, Preprocessing
from train.packaging import engine_choice
from train.packaging.engine_choice import Dependencies, Inputs

SIDE, COUNT, LABELS = 8, 1000, 3
INT8, BF16, OTHER = named("onnxruntime-int8"), named("openvino-bf16"), named("openvino-fp32")
ABLE = Machine(cpu="able", flags=("avx512_vnni", "avx512_bf16"), threads=2)
SCALE = Preprocessing(resize=SIDE, crop=SIDE)
TRUTH = np.arange(COUNT) % LABELS
Answer = Callable[[FloatArray], Any]


def held_out() -> FloatArray:
    """Each picture shows its label in its first pixel and its place in the second."""
    pictures = np.zeros((COUNT, 3, SIDE, SIDE), dtype=np.float32)
    pictures[:, 0, 0, 0], pictures[:, 0, 0, 1] = TRUTH, np.arange(COUNT)
    return pictures


def right(pictures: FloatArray, *, wrong: int = 0) -> FloatArray:
    """The label that a picture shows; another one for the first `wrong` of them."""
    shown = np.clip(pictures[:, 0, 0, 0], 0, 2).astype(int)
    off = (pictures[:, 0, 0, 1] < wrong).astype(int)
    return np.asarray(10 * np.eye(LABELS, dtype=np.float32)[(shown + off) % LABELS])


def wrong_for(count: int) -> Answer:
    return lambda pictures: right(pictures, wrong=count)


def always(*row: float) -> Answer:
    return lambda pictures: np.tile(np.array(row, dtype=np.float32), (len(pictures), 1))


def fails(_: FloatArray) -> Any:
    raise RuntimeError("an engine's\nown reason")


def fails_beyond_noise(pictures: FloatArray) -> Any:
    return fails(pictures) if pictures[0, 0, 1, 1] == 0 else right(pictures)


def golden(*probabilities: float) -> Golden:
    stream = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(stream, "PNG")
    return Golden(label="cat", picture=stream.getvalue(), probabilities=probabilities)


def inputs(**changes: Any) -> Inputs:
    plain = Inputs(
        folder=Path("nowhere"),
        preprocessing=SCALE,
        labels=LABELS,
        calibration=held_out()[:8],
        held_out=held_out(),
        truth=TRUTH,
        golden=(),
        machine=ABLE,
    )
    return replace(plain, **changes)


def network(engine: Engine, answer: Answer) -> Network:
    return Network(engine=engine, inputs=(), outputs=(), run=answer, streams=lambda _: network(engine, answer))


@dataclass
class Fakes:
    """Engines that take `costs` milliseconds a picture on a fake clock."""

    costs: dict[Engine, float]
    answers: dict[Engine, Answer] = field(default_factory=dict)
    refused: tuple[Engine, ...] = ()
    full: dict[Engine, float] = field(default_factory=dict)
    now: float = 0.0
    opened: list[Engine] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def open_engine(self, _: Inputs, engine: Engine) -> Network:
        self.opened.append(engine)
        if engine in self.refused or engine not in self.costs:
            raise EngineError(f"{engine.network}: {engine} refuses it")

        def run(pictures: FloatArray) -> Any:
            more = self.full.get(engine, 1.0) if len(pictures) > 1 else 1.0
            self.now += len(pictures) * more * self.costs[engine] / 1000
            return self.answers.get(engine, right)(pictures)

        return network(engine, run)

    def package(self, **changes: Any) -> engine_choice.Packaged:
        return engine_choice.package(
            inputs(**changes), Dependencies(open_engine=self.open_engine, clock=lambda: self.now, log=self.lines.append)
        )

    def choice(self, **changes: Any) -> Choice:
        return self.package(**changes).choice


def reason(choice: Choice, engine: Engine) -> str:
    [found] = [each for each in choice.candidates if each.engine == engine]
    assert not found.accepted
    return found.reason


def test_the_fastest_engine_of_equal_accuracy_serves_and_the_measurements_are_recorded() -> None:
    fakes = Fakes({FALLBACK: 40, INT8: 10, BF16: 20, OTHER: 30})
    found = fakes.package()
    assert found.choice.engine == found.network.engine == INT8
    assert found.choice.reason == "10.0 ms per picture, 4.0 times as fast as onnxruntime-fp32"
    assert [each.engine for each in found.choice.accepted()] == [INT8, OTHER, FALLBACK]
    assert found.choice.accepted()[0] == Candidate(
        engine=INT8, accepted=True, milliseconds={"1": 10.0, "8": 10.0}, top1=1.0, drop=0.0
    )
    assert (found.choice.machine, found.choice.pictures, found.choice.reference_top1) == (ABLE, COUNT, 1.0)
    assert "slower than an accepted engine" in reason(found.choice, BF16)
    assert fakes.lines[-1].startswith("serving with onnxruntime-int8: 10.0 ms")
    assert Choice.from_dict(found.choice.to_dict()) == found.choice


def test_only_engines_near_the_fastest_are_timed_with_full_batches_which_may_change_the_order() -> None:
    full = {INT8: 2.0}  # times slower a picture in a full batch
    fakes = Fakes({FALLBACK: 40, INT8: 10, BF16: 14, OTHER: 16}, full=full)
    found = {each.engine: each for each in fakes.choice().candidates}
    assert {engine: set(each.milliseconds) for engine, each in found.items() if each.milliseconds} == {
        INT8: {"1", "8"}, BF16: {"1", "8"}, OTHER: {"1"}, FALLBACK: {"1"},
    }  # fmt: skip
    assert (found[INT8].cost, found[BF16].cost, fakes.choice().engine) == (15.0, 14.0, BF16)


def test_where_the_fastest_is_refused_the_next_one_is_checked() -> None:
    choice = Fakes({FALLBACK: 40, INT8: 10, BF16: 20}, {INT8: wrong_for(100)}).choice()
    assert (choice.engine, reason(choice, INT8)[:18]) == (BF16, "top-1 drops 10.0 p")


@pytest.mark.parametrize(
    ("lost", "message"),
    [(0, ""), (3, ""), (4, "top-1 drops 0.4 pt (4 of 1000 validation pictures)")],
)
def test_an_engine_may_lose_three_pictures_in_a_thousand_and_no_more(lost: int, message: str) -> None:
    found = engine_choice.check_candidate(
        inputs(), Candidate(engine=INT8, accepted=False), network(INT8, wrong_for(lost)), right(held_out())
    )
    assert (found.accepted, found.reason) == (not message, message)
    assert found.drop == pytest.approx(lost / COUNT)


def test_pictures_that_fp32_already_gets_wrong_are_no_loss() -> None:
    choice = Fakes({FALLBACK: 40, INT8: 10}, {FALLBACK: wrong_for(100), INT8: wrong_for(100)}).choice()
    assert (choice.engine, choice.reference_top1) == (INT8, 0.9)


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("engine", [INT8, BF16, OTHER], ids=str)
def test_numbers_that_are_not_finite_are_refused(engine: Engine, number: float) -> None:
    choice = Fakes({FALLBACK: 40, engine: 10}, {engine: always(1.0, number, 0.0)}).choice()
    assert (choice.engine, reason(choice, engine)) == (FALLBACK, "its logits are not finite")


@pytest.mark.parametrize(("off", "taken"), [(0.005, True), (0.02, False)])
def test_another_fp32_engine_must_give_the_same_logits_within_a_thousandth_of_the_largest(
    off: float, taken: bool
) -> None:
    choice = Fakes({FALLBACK: 40, OTHER: 10}, {OTHER: lambda pictures: right(pictures) + np.float32(off)}).choice()
    assert (choice.engine == OTHER) is taken
    assert taken or "logits differ from onnxruntime-fp32's by 0.02" in reason(choice, OTHER)


@pytest.mark.parametrize("answer", [fails, fails_beyond_noise], ids=["when timed", "when checked"])
@pytest.mark.parametrize("engine", [INT8, OTHER], ids=str)
def test_an_engine_that_raises_is_recorded_with_its_reason_and_the_others_go_on(engine: Engine, answer: Answer) -> None:
    choice = Fakes({FALLBACK: 40, BF16: 30, engine: 10}, {engine: answer}).choice()
    assert (choice.engine, reason(choice, engine)) == (BF16, "fails: RuntimeError: an engine's own reason")


def test_an_engine_that_cannot_be_opened_is_recorded_and_the_others_go_on() -> None:
    choice = Fakes({FALLBACK: 40, BF16: 30, INT8: 1}, refused=(INT8,)).choice()
    assert (choice.engine, reason(choice, INT8)) == (BF16, "model.int8.onnx: onnxruntime-int8 refuses it")


def test_an_engine_that_this_cpu_does_not_support_is_recorded_and_not_opened() -> None:
    fakes = Fakes(dict.fromkeys(ENGINES, 10.0))
    choice = fakes.choice(machine=Machine(cpu="old", flags=("avx2",)))
    assert "not supported by this CPU, which has none of avx512_vnni" in reason(choice, INT8)
    assert "none of avx512_bf16, amx_bf16" in reason(choice, BF16)
    assert set(fakes.opened) == {FALLBACK, OTHER}


def test_onnx_runtime_in_fp32_is_accepted_when_it_is_slowest_and_when_all_others_fail() -> None:
    everything = Fakes(dict(zip(ENGINES, (90, 1, 2, 3, 4), strict=True)))
    assert FALLBACK in [each.engine for each in everything.choice().accepted()]
    alone = Fakes({FALLBACK: 40}).choice()
    assert (alone.engine, len(alone.candidates)) == (FALLBACK, len(KNOWN))
    assert alone.reason == "40.0 ms per picture; no faster engine is accepted"


def test_a_failing_measurement_does_not_fail_the_training() -> None:
    fakes = Fakes({FALLBACK: 40}, {FALLBACK: fails})
    found = fakes.package(golden=(golden(1.0, 0.0, 0.0),))
    assert (found.choice.engine, found.network.engine, found.choice.candidates) == (FALLBACK, FALLBACK, ())
    assert found.choice.reason == "measuring fails: RuntimeError: an engine's own reason"
    assert (found.golden[0].tolerance, "measuring fails" in fakes.lines[-1]) == (0.02, True)


@pytest.mark.parametrize(("off", "taken"), [(0.12, True), (0.13, False)])
def test_int8_that_moves_a_golden_picture_too_far_is_refused_though_it_loses_no_top1(off: float, taken: bool) -> None:
    row = always(math.log(0.8), math.log(0.1), math.log(0.1))
    found = Fakes({FALLBACK: 40, INT8: 10}, {INT8: row, FALLBACK: row}).package(
        golden=(golden(0.8, 0.1, 0.1), golden(0.8 - off, 0.1 + off, 0.1)), truth=np.zeros(COUNT, dtype=np.int64)
    )
    assert (found.choice.engine == INT8) is taken
    assert taken or reason(found.choice, INT8) == "a golden picture's probability is off by 0.13"
    assert [each.tolerance for each in found.golden] == [0.02, 0.24 if taken else 0.02]


@pytest.mark.parametrize(("off", "tolerance"), [(0.0, 0.02), (0.009, 0.02), (0.05, 0.1), (0.2, 0.25), (0.5, 0.25)])
def test_the_tolerance_is_twice_the_measured_difference_within_limits(off: float, tolerance: float) -> None:
    picture = golden(0.8, 0.1 + off, 0.1)
    networks = [network(engine, always(math.log(0.8), math.log(0.1), math.log(0.1))) for engine in (INT8, BF16)]
    assert engine_choice.with_tolerance(picture, networks, SCALE).tolerance == tolerance


def test_without_a_rounded_engine_golden_pictures_stay_strict() -> None:
    assert engine_choice.with_tolerance(golden(0.8, 0.1, 0.1), [], SCALE).tolerance == 0.02


@pytest.mark.parametrize(
    ("engine", "precision", "names"),
    [
        ("auto", "auto", set(KNOWN)),
        ("onnxruntime", "auto", {"onnxruntime-fp32", "onnxruntime-int8"}),
        ("auto", "int8", {"onnxruntime-fp32", "onnxruntime-int8", "openvino-int8"}),
        ("openvino", "bf16", {"onnxruntime-fp32", "openvino-bf16"}),
        ("onnxruntime", "bf16", {"onnxruntime-fp32"}),
    ],
)
def test_the_hyperparameters_restrict_the_candidates_but_never_the_fallback(
    engine: str, precision: str, names: set[str]
) -> None:
    found = engine_choice.candidate_engines(engine, precision)
    assert (found[0], {str(each) for each in found}, len(found)) == (FALLBACK, names, len(names))


def test_where_only_one_engine_is_allowed_nothing_is_measured() -> None:
    fakes = Fakes({FALLBACK: 40})
    choice = fakes.choice(engine="onnxruntime", precision="fp32")
    assert (choice.engine, choice.reason, choice.candidates) == (
        FALLBACK,
        "the only engine that the hyperparameters allow",
        (),
    )
    assert fakes.now == 0.0


def test_the_log_line_has_times_accuracy_and_outcome() -> None:
    found = Candidate(engine=INT8, accepted=True, milliseconds={"1": 12.34, "8": 10.0}, top1=0.97314, drop=0.001)
    expected = "onnxruntime-int8: 12.3 ms at 1, 10.0 ms at 8, validation top-1 0.9731; accepted"
    assert engine_choice.log_line(found) == expected
    refused = Candidate(engine=BF16, accepted=False, reason="not supported by this CPU")
    assert engine_choice.log_line(refused) == "openvino-bf16: refused: not supported by this CPU"
