"""A search on this machine: it stays on disk, resumes after an interruption, and learns from an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from deploy.config.training import Tuning
from deploy.errors import SettingsError
from deploy.jobs.optuna_search import TrialResult, search
from deploy.jobs.tuning import Trial

RATE = {"ranges": {"learning_rate": {"min": 0.01, "max": 1.0, "scale": "log"}}, "max_jobs": 3, "max_parallel": 1}
Report = Callable[[float], bool]


def tuning(**changes: Any) -> Tuning:
    return Tuning.model_validate(RATE | {"strategy": "Random"} | changes)


def trained(values: Mapping[str, str], report: Report) -> TrialResult:
    """Two epochs whose objective is the nearer to 1 the nearer the rate is to 0.1."""
    score = 1 - abs(float(values["learning_rate"]) - 0.1)
    history = [score / 2, score]
    for value in history:
        report(value)
    return TrialResult(job=f"job-{values['learning_rate']}", status="Completed", history=tuple(history), seconds=5.0)


def test_max_jobs_trials_run_once(tmp_path: Path) -> None:
    ended: list[Trial] = []
    made = search(tuning(), name="s", folder=tmp_path, train=trained, on_trial=ended.append)
    assert tuple(ended) == made
    assert len({each.job for each in made}) == 3
    assert all(each.objective is not None and 0.01 <= float(each.values["learning_rate"]) <= 1 for each in made)

    def never(*_: object) -> TrialResult:
        raise RuntimeError("made again")

    assert search(tuning(), name="s", folder=tmp_path, train=never) == made


def test_an_interrupted_search_first_repeats_its_interrupted_trial(tmp_path: Path) -> None:
    tried: list[str] = []

    def broken(values: Mapping[str, str], report: Report) -> TrialResult:
        tried.append(values["learning_rate"])
        if len(tried) == 2:
            raise KeyboardInterrupt
        return trained(values, report)

    with pytest.raises(KeyboardInterrupt):
        search(tuning(), name="s", folder=tmp_path, train=broken)
    made = search(tuning(), name="s", folder=tmp_path, train=broken)
    assert len(made) == 3
    assert tried[2] == tried[1]
    assert len(set(tried)) == 3


def test_a_grid_makes_every_combination_once(tmp_path: Path) -> None:
    ranges = {"batch_size": {"values": [32, 64]}, "augment": {"values": [True, False]}}
    grid = Tuning.model_validate({"strategy": "Grid", "ranges": ranges, "max_jobs": 50})
    made = search(
        grid,
        name="g",
        folder=tmp_path,
        train=lambda values, _: TrialResult(job=str(values), status="Completed", history=(1.0,)),
    )
    assert {(each.values["batch_size"], each.values["augment"]) for each in made} == {
        (size, flag) for size in ("32", "64") for flag in ("true", "false")
    }
    assert len(made) == 4


def test_a_trial_that_fails_or_reports_nothing_has_no_objective_and_the_search_continues(tmp_path: Path) -> None:
    ends = iter(
        [
            TrialResult(job="a", status="Failed", history=(0.9,), reason="out of memory"),
            TrialResult(job="b", status="Completed"),
            TrialResult(job="c", status="Completed", history=(float("nan"),)),
        ]
    )
    made = search(tuning(), name="s", folder=tmp_path, train=lambda *_: next(ends))
    assert [(each.job, each.objective) for each in made] == [("a", None), ("b", None), ("c", None)]
    assert made[0].reason == "out of memory"


def test_with_early_stopping_a_trial_below_the_median_stops(tmp_path: Path) -> None:
    scores = iter([0.9, 0.1, 0.95])
    stops: list[bool] = []

    def scored(_: Mapping[str, str], report: Report) -> TrialResult:
        value = next(scores)
        stops.append(report(value))
        return TrialResult(job=str(value), status="Stopped" if stops[-1] else "Completed", history=(value,))

    made = search(tuning(early_stopping=True), name="s", folder=tmp_path, train=scored)
    assert stops == [False, True, False]
    assert [each.objective for each in made] == [0.9, None, 0.95]
    stops.clear()
    scores = iter([0.9, 0.1, 0.95])
    search(tuning(), name="patient", folder=tmp_path, train=scored)
    assert stops == [False, False, False]


def test_a_search_learns_from_an_earlier_one(tmp_path: Path) -> None:
    search(tuning(max_jobs=4), name="parent", folder=tmp_path, train=trained)
    child = tuning(strategy="Bayesian", warm_start="parent")
    assert len(search(child, name="child", folder=tmp_path, train=trained)) == 3
    kept = optuna.load_study(
        study_name="child", storage=JournalStorage(JournalFileBackend(str(tmp_path / "child.log")))
    )
    assert len([each for each in kept.trials if each.user_attrs.get("warm")]) == 4
    with pytest.raises(SettingsError, match="other: unknown search on this machine; choose one of child, parent"):
        search(tuning(warm_start="other"), name="new", folder=tmp_path, train=trained)
