"""Golden pictures: their file, and the message for an answer that differs."""

import math

import pytest

from contract.golden import Golden, GoldenError, difference, disagreement, dumps, loads

ORANGE = Golden(label="Orange", picture=b"\xff\xd8jpeg", probabilities=(0.9, 0.1))


def test_written_pictures_are_read_back() -> None:
    assert loads(dumps([ORANGE])) == (ORANGE,)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pictures": [{"label": "x"}]}', '{"pictures": [7]}'])
def test_a_file_that_cannot_be_read_says_where(text: str) -> None:
    with pytest.raises(GoldenError, match=r"^model/golden.json: cannot be read"):
        loads(text, where="model/golden.json")


@pytest.mark.parametrize(
    ("answer", "tolerance", "message"),
    [
        ((0.9, 0.1), 0.02, ""),
        ((0.885, 0.115), 0.02, ""),
        ((0.1, 0.9), 1.0, ""),
        ((0.4, 0.6), 0.02, "label 0 has probability 0.400, training computed 0.900 (tolerance 0.02)"),
        ((0.9, 0.1, 0.0), 1.0, "3 numbers for 2 labels"),
        ((math.nan, 0.1), 1.0, "2 numbers for 2 labels"),
    ],
)
def test_an_answer_is_compared_with_the_one_of_training(
    answer: tuple[float, ...], tolerance: float, message: str
) -> None:
    said = disagreement(ORANGE, answer, tolerance)
    assert (message in said) if message else said == ""


def test_the_largest_difference_counts() -> None:
    assert difference(ORANGE, (0.85, 0.15)) == pytest.approx(0.05)
