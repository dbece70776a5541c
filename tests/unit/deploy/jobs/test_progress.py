"""A job's progress: the epoch and its scores, and the time left at the speed of the epochs so far."""

from __future__ import annotations

import pytest

from deploy.jobs.progress import Progress, duration


def test_each_epoch_is_shown_with_its_scores_and_the_time_left() -> None:
    progress = Progress(epochs=15)
    first = progress.update({"epoch": 1, "train_loss": 0.5, "train_top1": 0.25}, 100.0)
    assert first == "epoch   1/15   train loss 0.500 top-1  25.0%"
    assert progress.update({"epoch": 3}, 120.0) == "epoch   3/15   2 min left"  # 12 epochs of 10 s
    assert progress.left() == 120.0


def test_after_an_interruption_the_speed_is_that_of_the_epochs_since() -> None:
    progress = Progress(epochs=10)
    progress.update({"epoch": 7}, 0.0)
    progress.update({"epoch": 8}, 30.0)
    assert progress.left() == 60.0


def test_no_time_left_is_shown_before_two_epochs_or_without_their_number() -> None:
    progress = Progress(epochs=3)
    assert progress.update({"epoch": 1}, 5.0) == "epoch   1/3"
    unknown = Progress()
    unknown.update({"epoch": 1}, 0.0)
    assert unknown.update({"epoch": 2}, 9.0) == "epoch   2"


def test_the_final_test_is_not_an_epoch() -> None:
    progress = Progress(epochs=3)
    assert progress.update({"test_loss": 0.5, "test_top1": 0.75}, 9.0).endswith("test loss 0.500 top-1  75.0%")
    assert progress.left() is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (3540, "59 min"), (7500, "2 h 05 min")]
)
def test_a_duration_is_written_as_people_write_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
