"""A model that does not repeat its golden pictures is refused before it is ready."""

import logging
from dataclasses import replace

import pytest

from contract.artifact import ArtifactError
from contract.golden import Golden
from serve import golden
from serve.environment import SettingsError, from_environ
from tests.unit.serve.pictures import encoded
from tests.unit.serve.services import predictor

RED = Golden(label="red", picture=encoded("red"), probabilities=(1.0, 0.0, 0.0))


def test_a_model_that_repeats_its_golden_pictures_is_taken_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kennel.serve")
    golden.check(replace(predictor(), golden=(RED,)), 0.02)
    assert "1 golden pictures answered as in training" in caplog.text


def test_a_wrong_model_is_refused_with_what_it_said() -> None:
    wrong = predictor(rows=((0.0, 10.0, 0.0), (10.0, 0.0, 0.0), (0.0, 0.0, 10.0)))
    with pytest.raises(
        ArtifactError, match=r"golden picture of red: .* training computed 1.000 .* not what was trained"
    ):
        golden.check(replace(wrong, golden=(RED,)), 0.02)


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
