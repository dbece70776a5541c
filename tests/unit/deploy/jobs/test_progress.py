"""How far a job is: the epoch of how many, and what is left at the pace of the epochs so far."""

from __future__ import annotations

import pytest

from deploy.jobs.progress import Pace, duration


def test_each_epoch_is_told_with_its_scores_and_what_is_left() -> None:
    pace = Pace(epochs=15)
    first = pace.hear({"epoch": 1, "train_loss": 0.5, "train_top1": 0.25}, 100.0)
    assert first == "epoch   1/15   train loss 0.500 top-1  25.0%"
    assert pace.hear({"epoch": 3}, 120.0) == "epoch   3/15   2 min left"  # 12 epochs of 10 s
    assert pace.left() == 120.0


def test_after_a_break_the_pace_is_that_of_the_epochs_that_were_seen() -> None:
    pace = Pace(epochs=10)
    pace.hear({"epoch": 7}, 0.0)
    pace.hear({"epoch": 8}, 30.0)
    assert pace.left() == 60.0


def test_nothing_is_promised_before_two_epochs_nor_when_their_number_is_not_known() -> None:
    pace = Pace(epochs=3)
    assert pace.hear({"epoch": 1}, 5.0) == "epoch   1/3"
    unknown = Pace()
    unknown.hear({"epoch": 1}, 0.0)
    assert unknown.hear({"epoch": 2}, 9.0) == "epoch   2"


def test_the_closing_test_is_no_epoch() -> None:
    pace = Pace(epochs=3)
    assert pace.hear({"test_loss": 0.5, "test_top1": 0.75}, 9.0).endswith("test loss 0.500 top-1  75.0%")
    assert pace.left() is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (3540, "59 min"), (7500, "2 h 05 min")]
)
def test_a_duration_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said
