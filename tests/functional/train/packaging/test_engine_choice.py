"""The complete packaging of a small network with the real engines: measured, recorded, and checked on pictures."""

from __future__ import annotations

import io
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from contract import artifact
from contract.artifact import Manifest
from contract.choice import FULL, ONE
from contract.engine import ENGINES, FALLBACK, INT8_NETWORK, NETWORK, Engine, EngineError, Network, named, open_network
from contract.golden import LARGEST, Golden, disagreement
from contract.machine import this_machine
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array
from train.packaging import engine_choice, export, quantise
from train.packaging import golden as making
from train.packaging.engine_choice import Dependencies, Inputs, Packaged

SIDE = 32
SCALE = Preprocessing(resize=SIDE, crop=SIDE)
PLAIN = Preprocessing(resize=SIDE, crop=SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
COLOURS = {"red": (190, 90, 70), "green": (80, 170, 90), "blue": (70, 100, 180)}
LABELS = tuple(COLOURS)
MANIFEST = Manifest(architecture="tiny", labels=LABELS, preprocessing=SCALE)
INT8 = named("onnxruntime-int8")


def encoded(colour: Sequence[int], seed: int) -> bytes:
    """A noisy picture of one colour."""
    noise = np.random.default_rng(seed).normal(0, 40, (SIDE, SIDE, 3))
    stream = io.BytesIO()
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def pictures(count: int, seed: int) -> FloatArray:
    """(count, 3, SIDE, SIDE), the labels in turn."""
    colours = [COLOURS[LABELS[index % len(LABELS)]] for index in range(count)]
    made = [encoded(colour, seed + index) for index, colour in enumerate(colours)]
    return np.stack([to_array(open_picture(each), SCALE) for each in made])


def truth(count: int) -> np.ndarray:
    return np.arange(count) % len(LABELS)


def trained(labels: torch.Tensor) -> nn.Module:
    """A few layers trained on colours with smoothed labels."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16),
        nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, len(LABELS)),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    seen = torch.from_numpy(pictures(48, seed=1000))
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(seen), labels, label_smoothing=0.3).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """The exported network and the data to measure it with."""
    folder = tmp_path_factory.mktemp("model")
    model = trained(torch.from_numpy(truth(48)))
    export.write_networks(model, MANIFEST, torch.from_numpy(pictures(3, seed=2000)), folder)
    shown = [(label, encoded(colour, 3000 + index)) for index, (label, colour) in enumerate(COLOURS.items())]
    return Inputs(
        folder=folder,
        preprocessing=SCALE,
        labels=len(LABELS),
        calibration=pictures(16, seed=4000),
        held_out=pictures(30, seed=5000),
        truth=truth(30),
        golden=making.compute(model, shown, SCALE),
        machine=this_machine(1),
    )


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def found(inputs: Inputs, lines: list[str]) -> Packaged:
    return engine_choice.package(inputs, Dependencies(log=lines.append))


@pytest.fixture(scope="module")
def int8(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quantised network, also where this CPU does not support int8."""
    path = tmp_path_factory.mktemp("int8") / INT8_NETWORK
    quantise.quantise(inputs.folder / NETWORK, path, inputs.calibration)
    return path


def test_every_engine_is_measured_or_refused_with_a_reason(inputs: Inputs, found: Packaged, lines: list[str]) -> None:
    judged = found.choice.candidates
    assert {each.engine for each in judged} == set(ENGINES)
    for each in judged:
        lacking = bool(each.engine.lacks(inputs.machine))
        timed = set(each.milliseconds)
        assert timed == set() if lacking else {str(ONE)} <= timed <= {str(ONE), str(FULL)}, each
        assert each.accepted is not bool(each.reason), each
        assert "fails" not in each.reason, each
    assert {FALLBACK, named("openvino-fp32")} <= {each.engine for each in found.choice.accepted()}
    assert found.choice.reference_top1 == 1.0
    assert set(found.choice.versions) == {"onnxruntime", "openvino"}
    assert len(lines) == len(ENGINES) + 1


def test_the_chosen_network_is_correct_and_the_artifact_records_the_choice(inputs: Inputs, found: Packaged) -> None:
    assert found.network.engine == found.choice.engine
    assert (engine_choice.logits(found.network, inputs.held_out).argmax(axis=1) == inputs.truth).all()
    written = export.complete(replace(MANIFEST, serving=found.choice), inputs.folder, found.golden)
    assert artifact.read(inputs.folder).serving == written.serving == found.choice
    accepted = {each.engine.network for each in found.choice.accepted()}
    assert (inputs.folder / INT8_NETWORK).is_file() is (INT8_NETWORK in accepted) is (INT8_NETWORK in written.files)


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine.network == INT8_NETWORK], ids=str)
def test_both_engines_open_the_quantised_network_and_give_the_same_answers(
    inputs: Inputs, int8: Path, engine: Engine
) -> None:
    network = open_network(int8, engine, threads=1)
    network.check_shapes(crop=SIDE, labels=len(LABELS))
    for count in (1, 3):
        assert (network.logits(inputs.held_out[:count]).argmax(axis=1) == inputs.truth[:count]).all()


def test_a_quantiser_that_fails_leaves_logging_as_it_was(inputs: Inputs, tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    try:
        with pytest.raises(Exception, match="pictures"):
            quantise.quantise(
                inputs.folder / NETWORK, tmp_path / INT8_NETWORK, np.zeros((8, 4, SIDE, SIDE), np.float32)
            )
        assert root.level == logging.INFO
    finally:
        root.setLevel(before)


def asks_int8(inputs: Inputs, folder: Path) -> Inputs:
    """Inputs that allow int8: a copy of the network, and a CPU with the flags that int8 needs."""
    shutil.copyfile(inputs.folder / NETWORK, folder / NETWORK)
    return replace(inputs, folder=folder, machine=replace(inputs.machine, flags=("avx512_vnni",)), precision="int8")


def test_a_quantiser_that_fails_leaves_fp32_and_says_why(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / INT8_NETWORK).write_bytes(b"of an earlier run")
    wrong = replace(asks_int8(inputs, tmp_path), calibration=inputs.calibration[:, :2])
    choice = engine_choice.package(wrong, Dependencies(log=print)).choice
    assert choice.engine == FALLBACK
    refused = [each.reason for each in choice.candidates if each.engine != FALLBACK]
    assert len(refused) == 2
    assert all(reason.startswith("cannot be quantised: ") and "\n" not in reason for reason in refused)
    assert not (tmp_path / INT8_NETWORK).exists()


def test_a_quantised_file_that_no_engine_opens_leaves_fp32(inputs: Inputs, tmp_path: Path) -> None:
    def torn(chosen: Inputs, engine: Engine) -> Network:
        if engine.network == INT8_NETWORK:
            (chosen.folder / INT8_NETWORK).write_bytes(b"torn")
        return engine_choice.open_engine(chosen, engine)

    choice = engine_choice.package(asks_int8(inputs, tmp_path), Dependencies(open_engine=torn, log=print)).choice
    assert choice.engine == FALLBACK
    assert all("refuses it" in each.reason for each in choice.candidates if not each.accepted)
    assert not (tmp_path / INT8_NETWORK).exists()


def test_a_network_that_cannot_be_opened_at_all_is_an_error(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / NETWORK).write_bytes(b"torn")
    with pytest.raises(EngineError, match=r"model\.onnx: onnxruntime-fp32 refuses it"):
        engine_choice.package(replace(inputs, folder=tmp_path), Dependencies(log=print))


def wrongs(answers: Sequence[Golden], network: Network, scale: Preprocessing = SCALE, *, flip: bool = False) -> int:
    """The number of golden pictures with a wrong answer, decoded as in serving."""
    count = 0
    for each in answers:
        picture = to_array(open_picture(each.picture, shorter_side=scale.resize), scale)
        row = torch.from_numpy(network.logits((picture[::-1] if flip else picture)[None].copy()))[0]
        count += bool(disagreement(each, row.double().softmax(dim=0).tolist()))
    return count


def test_the_tolerance_for_int8_accepts_the_quantised_network_and_refuses_a_wrong_one(
    inputs: Inputs, int8: Path
) -> None:
    network = open_network(int8, INT8, threads=1)
    answers = [engine_choice.with_tolerance(each, [network], SCALE) for each in inputs.golden]
    assert all(each.tolerance < LARGEST for each in answers)
    assert wrongs(answers, network) == 0
    assert wrongs(answers, network, flip=True) > 0, "red and blue swapped"
    assert wrongs(answers, network, PLAIN) > 0, "not normalised"
    turned = trained(torch.from_numpy((truth(48) + 1) % len(LABELS)))
    other = replace(network, run=lambda pictures: turned(torch.from_numpy(pictures)).detach().numpy())
    assert wrongs(answers, other) > 0, "another model's weights"
