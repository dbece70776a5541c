"""A model that does not repeat its golden pictures is refused before it is ready."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from contract.artifact import ArtifactError
from contract.golden import LARGEST, Golden
from contract.preprocess import IMAGENET_MEAN, IMAGENET_STD
from serve import codec, golden
from serve.environment import SettingsError, from_environ
from serve.predictor import Predictor
from tests.unit.serve.artifacts import manifest
from tests.unit.serve.pictures import encoded
from tests.unit.serve.services import predictor

RED = Golden(label="red", picture=encoded("red"), probabilities=(1.0, 0.0, 0.0))


def test_a_model_that_repeats_its_golden_pictures_is_accepted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kennel.serve")
    golden.check(replace(predictor(), golden=(RED,)), 0.02)
    assert "1 golden pictures are answered as in training" in caplog.text


def test_a_wrong_model_is_refused_with_its_wrong_answer() -> None:
    wrong = predictor(rows=((0.0, 10.0, 0.0), (10.0, 0.0, 0.0), (0.0, 0.0, 10.0)))
    with pytest.raises(
        ArtifactError, match=r"golden picture of red: .* training computed 1.000 .* differs from what was trained"
    ):
        golden.check(replace(wrong, golden=(RED,)), 0.02)


Rows = Sequence[Sequence[float]]
Mean = tuple[float, float, float]
ROWS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))  # a network whose probabilities are far from 0 and 1


def widely(rows: Rows, mean: Mean = IMAGENET_MEAN, std: Mean = IMAGENET_STD) -> Predictor:
    """A network with two golden pictures of the network of ROWS, at the widest tolerance that packaging allows int8."""
    made, kept = predictor(rows=ROWS), []
    for colour in ((200, 100, 50), (110, 120, 125)):
        picture = encoded(colour, kind="PNG")
        inputs = codec.decode(picture, made.preprocessing, max_pixels=10**6)
        answer = tuple(codec.softmax(made.logits(np.stack([inputs])))[0].tolist())
        kept.append(Golden(label="red", picture=picture, probabilities=answer, tolerance=LARGEST))
    scale = replace(made.preprocessing, mean=mean, std=std)
    return replace(predictor(rows=rows), manifest=replace(manifest(), preprocessing=scale), golden=tuple(kept))


def test_at_int8s_widest_tolerance_a_rounded_network_is_taken() -> None:
    golden.check(widely([[1.05 * value + 0.02 for value in row] for row in ROWS]))


@pytest.mark.parametrize(
    ("rows", "mean", "std"),
    [
        (ROWS[1:] + ROWS[:1], IMAGENET_MEAN, IMAGENET_STD),
        (ROWS[::-1], IMAGENET_MEAN, IMAGENET_STD),
        (ROWS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (ROWS, IMAGENET_MEAN, (1 / 255, 1 / 255, 1 / 255)),
    ],
    ids=["another model's weights", "red and blue swapped", "not normalised", "0 to 255"],
)
def test_at_int8s_widest_tolerance_a_wrong_network_is_refused_nonetheless(rows: Rows, mean: Mean, std: Mean) -> None:
    with pytest.raises(ArtifactError, match=r"\(tolerance 0.25\): the network or its preprocessing differs"):
        golden.check(widely(rows, mean, std))


def test_any_answer_will_do_where_the_tolerance_is_one() -> None:
    wrong = predictor(rows=((0.0, 10.0, 0.0), (10.0, 0.0, 0.0), (0.0, 0.0, 10.0)))
    golden.check(replace(wrong, golden=(RED,)), 1.0)


def test_a_golden_picture_that_cannot_be_decoded_is_refused() -> None:
    with pytest.raises(ArtifactError, match="golden picture of red"):
        golden.check(replace(predictor(), golden=(replace(RED, picture=b"torn"),)), 0.02)


def test_an_artifact_without_golden_pictures_serves_and_says_that_nothing_was_checked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kennel.serve")
    golden.check(predictor(), 0.02)
    assert "no golden pictures" in caplog.text


@pytest.mark.parametrize(("text", "value"), [("", None), ("0.1", 0.1), ("1", 1.0)])
def test_the_tolerance_comes_from_the_environment(text: str, value: float | None) -> None:
    assert from_environ({"KENNEL_GOLDEN_TOLERANCE": text}, cpus=1).golden_tolerance == value


@pytest.mark.parametrize("text", ["0", "-1", "2", "much", "nan"])
def test_a_tolerance_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="KENNEL_GOLDEN_TOLERANCE"):
        from_environ({"KENNEL_GOLDEN_TOLERANCE": text}, cpus=1)
