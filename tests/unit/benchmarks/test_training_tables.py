"""The rows of the training tables: their order and targets, and the row of a peer that did not run."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.train_frozen import time_rows
from benchmarks.train_full import throughput_rows
from benchmarks.training.peer import FASTAI, LIGHTNING, PLAIN, TIMM, called

Runs = dict[str, list[Mapping[str, float]]]


def seconds(*values: float) -> list[Mapping[str, float]]:
    return [{"seconds": value} for value in values]


def rates(*values: float) -> list[Mapping[str, float]]:
    return [{"pictures_per_second": value} for value in values]


def test_the_fastest_peer_comes_first_and_the_ratio_says_how_many_times_faster_ours_is() -> None:
    runs: Runs = {"ours": seconds(10, 11), TIMM.name: seconds(300, 310), PLAIN.name: seconds(160, 176)}
    rows = time_rows(runs, {})
    assert [row.peer_name for row in rows] == [PLAIN.name, TIMM.name]
    assert (rows[0].ratio, rows[0].met) == (16.0, True)


def test_a_peers_own_options_for_speed_have_a_row_without_a_target() -> None:
    name = called(TIMM, fast=True)
    [row] = time_rows({"ours": seconds(10), name: seconds(60)}, {})
    assert (row.ratio, row.target, row.met) == (6.0, None, None)
    [row] = throughput_rows({"ours": rates(13), name: rates(12)}, {})
    assert (row.target, row.met) == (None, None)


def test_a_peer_that_did_not_run_is_named_with_its_error() -> None:
    [row] = time_rows({"ours": seconds(10), FASTAI.name: [{}]}, {FASTAI.name: "no module named fastai"})
    assert (row.ratio, row.met, row.note) == (None, None, "no module named fastai")
    [row] = throughput_rows({"ours": rates(10), FASTAI.name: [{}]}, {FASTAI.name: "no module named fastai"})
    assert (row.ratio, row.note) == (None, "no module named fastai")


def test_the_fastest_trainer_comes_first_and_tuned_trainers_come_last() -> None:
    runs: Runs = {
        "ours": rates(13, 13),
        LIGHTNING.name: rates(5, 5),
        called(LIGHTNING, fast=True): rates(12, 12),
        TIMM.name: rates(6, 6),
    }
    rows = throughput_rows(runs, {})
    assert [row.peer_name for row in rows] == [TIMM.name, LIGHTNING.name, called(LIGHTNING, fast=True)]
    assert [row.met for row in rows] == [True, True, None]
