"""The pure parts of the training benchmarks: estimates, checks, and reading the trainers' output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.training import checks, ours, pictures
from benchmarks.training.estimate import throughput, whole
from benchmarks.training.job import Outcome, digest
from benchmarks.training.record import Record

OUTCOME = Outcome(
    trained=28686,
    files="abc",
    losses=(2.7, 2.1),
    training=(8.0, 5.0),
    validating=(2.0, 1.0),
    steps=(2.0, 2.0, 1.5, 1.5),
    testing=1.5,
    top1=0.5,
)
TIMED = {"train": 96, "valid": 32, "test": 32}
ALL = {"train": 624, "valid": 112, "test": 640}
WAIT = 5.0 - 3 * 1.5  # for the loader, at the start of a pass


def test_extrapolating_the_short_job_to_itself_gives_its_own_time() -> None:
    job = whole(20.0, OUTCOME, TIMED, TIMED, batch=32, drops_last=False)
    assert job.seconds(2) == pytest.approx(20.0)
    assert job.once == pytest.approx(20.0 - 2 * 6.0 - 1.5)  # the first epoch's delay counts once


def test_steps_are_multiplied_and_work_done_once_in_a_job_or_in_a_pass_is_not() -> None:
    job = whole(20.0, OUTCOME, TIMED, ALL, batch=32, drops_last=False)
    assert job.epoch == pytest.approx((WAIT + 1.5 * 19.5) + (WAIT + 0.5 * 3.5))
    assert job.test == pytest.approx(WAIT + 1.0 * 20)
    assert job.once == pytest.approx(6.5)


def test_a_trainer_that_drops_the_last_batch_is_not_charged_for_it() -> None:
    dropping, not_dropping = (whole(20.0, OUTCOME, TIMED, ALL, batch=32, drops_last=drops) for drops in (True, False))
    assert not_dropping.epoch - dropping.epoch == pytest.approx(0.5 * 1.5)


@pytest.mark.parametrize(("epochs", "pictures"), [((8.0,), 96), ((8.0, 5.0), 32)])
def test_a_job_too_short_to_separate_its_start_from_its_speed_is_refused(
    epochs: tuple[float, ...], pictures: int
) -> None:
    short = replace(OUTCOME, training=epochs)
    with pytest.raises(ValueError, match="two epochs of two steps"):
        whole(20.0, short, {**TIMED, "train": pictures}, ALL, batch=32, drops_last=False)


def test_the_throughput_is_that_of_the_counted_steps() -> None:
    assert throughput(OUTCOME, 28) == 16.0


def test_the_stopwatch_leaves_out_each_epochs_first_step() -> None:
    ticks: Iterator[float] = iter([0.0, 5.0, 6.0, 7.5, 9.0, 10.0])
    record = Record(clock=lambda: next(ticks))
    record.begin()
    for loss in (3.0, 2.0, 1.0):
        record.step(loss)
    record.trained()
    record.validated()
    outcome = record.outcome(trained=1, files="x", top1=0.1)
    assert (outcome.steps, outcome.training, outcome.validating, outcome.losses) == ((1.0, 1.5), (9.0,), (1.0,), (2.0,))


def test_peers_that_trained_on_other_pictures_are_refused() -> None:
    with pytest.raises(checks.CheckError, match="timm: trained on other pictures"):
        checks.peers_alike({"plain": OUTCOME, "timm": replace(OUTCOME, files="else")}, files="abc")


def test_peers_that_train_more_or_fewer_parameters_are_refused() -> None:
    with pytest.raises(checks.CheckError, match="plain 28686, fastai 5"):
        checks.peers_alike({"plain": OUTCOME, "fastai": replace(OUTCOME, trained=5)}, files="abc")


@pytest.mark.parametrize("losses", [(2.0, 2.5), (float("nan"),), (2.0, float("inf"))])
def test_a_loss_that_does_not_fall_or_is_not_finite_is_refused(losses: tuple[float, ...]) -> None:
    with pytest.raises(checks.CheckError):
        checks.peer_learns("plain", losses)


def test_a_trainer_that_reports_a_better_accuracy_than_its_model_has_is_refused() -> None:
    checks.accuracy_agrees(0.78, 0.777)
    with pytest.raises(checks.CheckError, match="float32 torch measures"):
        checks.accuracy_agrees(0.78, 0.76)


PRINTED = """kennel epoch=1 train_loss=1.27 train_top1=0.65 learning_rate=4.6e-08 pictures_per_second=6054.4
something else
kennel epoch=2 train_loss=0.17 train_top1=0.97 learning_rate=0.002 pictures_per_second=8158.7
kennel test_loss=0.64 test_top1=0.776097 test_top5=0.98
"""


def test_our_metric_lines_are_read_by_epoch_and_the_closing_one_separately() -> None:
    epochs, closing = ours.read_metrics(PRINTED)
    assert [epoch["train_loss"] for epoch in epochs] == [1.27, 0.17]
    assert epochs[0]["learning_rate"] == 4.6e-08
    assert closing == {"test_loss": 0.64, "test_top1": 0.776097, "test_top5": 0.98}


def test_ours_with_pictures_or_epochs_missing_is_refused() -> None:
    counts = ours.read_counts("kennel: 14 classes; 621 train, 111 valid, 661 test; 0 skipped; scanned in 0.7 s")
    epochs, closing = ours.read_metrics(PRINTED)
    run = ours.Trained(wall=1.0, epochs=epochs, closing=closing, counts=counts, model=Path("model"))
    whole_data = {"train": 621, "valid": 111, "test": 661}
    checks.ours_whole(run, counts=whole_data, epochs=2)
    with pytest.raises(checks.CheckError, match="2 epochs, not 20"):
        checks.ours_whole(run, counts=whole_data, epochs=20)
    with pytest.raises(checks.CheckError, match="ours saw"):
        checks.ours_whole(run, counts={**whole_data, "train": 622}, epochs=2)


def test_a_part_of_the_pictures_has_as_many_of_each_class() -> None:
    classes = {name: [Path(name) / f"{number}.jpg" for number in range(9)] for name in ("a", "b", "c")}
    assert [path.parent.name for path in pictures.even(classes, 7)] == ["a", "b", "c", "a", "b", "c", "a"]
    assert pictures.even(classes, 0) == []


@pytest.mark.parametrize("count", [2, 28])
def test_a_part_too_small_for_its_classes_or_larger_than_the_whole_is_refused(count: int) -> None:
    classes = {name: [Path(name) / f"{number}.jpg" for number in range(9)] for name in ("a", "b", "c")}
    with pytest.raises(ValueError, match=f"cannot choose {count} pictures of 3 classes"):
        pictures.even(classes, count)


def test_the_digest_depends_on_the_pictures_classes_and_names_and_not_on_order_or_folder() -> None:
    assert digest([Path("/x/a/1.jpg"), Path("/x/b/2.jpg")]) == digest(["/y/z/b/2.jpg", "/y/z/a/1.jpg"])
    assert digest(["/x/a/1.jpg"]) != digest(["/x/b/1.jpg"])
