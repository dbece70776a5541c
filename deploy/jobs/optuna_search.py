"""A search on this machine: Optuna chooses values, the training container trains, the study stays to resume from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.hyperparameters import TABLE
from deploy.config.section import Scalar
from deploy.config.training import Range, Tuning
from deploy.errors import SettingsError
from deploy.jobs.request import text
from deploy.jobs.tuning import Trial

STARTUP_TRIALS = 5


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """How one trial ended. `history` holds the objective after each epoch; the last value counts."""

    job: str
    status: str
    history: tuple[float, ...] = ()
    seconds: float = 0.0
    artifact: str = ""
    reason: str = ""


Train = Callable[[Mapping[str, str], Callable[[float], bool]], TrialResult]


def search(
    tuning: Tuning, *, name: str, folder: Path, train: Train, on_trial: Callable[[Trial], None] = lambda _: None
) -> tuple[Trial, ...]:
    """Runs the study to its end and returns all of its trials in order; trials of an earlier run do not run again.

    `train` gets values, and a function to call with each epoch's objective, which returns whether to stop early.
    `on_trial` gets each trial as it ends. A resumed study first repeats the trial that was interrupted. Raises
    SettingsError for an unknown warm_start.
    """
    study = _study(tuning, name=name, folder=folder)
    count = len(combinations(tuning)) if tuning.strategy == "Grid" else tuning.max_jobs
    _requeue_interrupted(study)
    if tuning.strategy == "Grid":
        for chosen in combinations(tuning):
            study.enqueue_trial(chosen, skip_if_exists=True)
    while len(_finished(study)) < count:
        trial = study.ask({key: _distribution(key, given) for key, given in tuning.ranges.items()})
        values = {key: text(value) for key, value in trial.params.items()}
        result = train(values, _EarlyStopping(trial=trial, enabled=tuning.early_stopping))
        _record(study, trial, result)
        on_trial(_trial(study.trials[trial.number]))
    return tuple(_trial(each) for each in _finished(study))


def combinations(tuning: Tuning) -> list[dict[str, Scalar]]:
    """Every combination of a grid's values."""
    every = itertools.product(*(given.values for given in tuning.ranges.values()))
    return [dict(zip(tuning.ranges, chosen, strict=True)) for chosen in every]


@dataclass(kw_only=True)
class _EarlyStopping:
    """Called with a trial's objective after each epoch; returns whether the trial is worse than the others' median."""

    trial: Any
    enabled: bool
    epoch: int = 0

    def __call__(self, value: float) -> bool:
        self.epoch += 1
        self.trial.report(value, self.epoch)
        return self.enabled and bool(self.trial.should_prune())


def _study(tuning: Tuning, *, name: str, folder: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    warm = list(_warm_trials(tuning, folder)) if tuning.warm_start else []
    study = optuna.create_study(
        study_name=name,
        storage=_storage(folder / f"{name}.log"),
        load_if_exists=True,
        direction="maximize" if tuning.direction == "Maximize" else "minimize",
        sampler=_sampler(tuning),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )
    if not study.trials:
        study.add_trials(warm)
    return study


def _storage(path: Path) -> Any:
    """A journal file: it survives a kill and needs no database."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def _warm_trials(tuning: Tuning, folder: Path) -> Iterator[Any]:
    """The trials of an earlier study whose values lie within these ranges."""
    import optuna

    path = folder / f"{tuning.warm_start}.log"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.log"))) or "none"
        raise SettingsError(
            f"tuning.warm_start: {tuning.warm_start}: unknown search on this machine; choose one of {known}"
        )
    earlier = optuna.load_study(study_name=tuning.warm_start, storage=_storage(path))
    distributions = {key: _distribution(key, given) for key, given in tuning.ranges.items()}
    for each in earlier.trials:
        if each.value is not None and set(each.params) == set(distributions):
            yield from _transferred(each, distributions)


def _transferred(each: Any, distributions: Mapping[str, Any]) -> Iterator[Any]:
    from optuna.trial import create_trial

    try:
        yield create_trial(
            params=each.params, distributions=dict(distributions), value=each.value, user_attrs={"warm": True}
        )
    except ValueError:  # values outside these ranges
        return


def _sampler(tuning: Tuning) -> Any:
    from optuna import samplers

    if tuning.strategy == "Bayesian":
        return samplers.TPESampler(n_startup_trials=STARTUP_TRIALS)
    return samplers.RandomSampler()


def _distribution(key: str, given: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if given.values:
        return CategoricalDistribution(given.values)
    low, high, log = given.min or 0.0, given.max or 0.0, given.scale == "log"
    if TABLE[key].kind == "whole number":
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _requeue_interrupted(study: Any) -> None:
    """Queues the trial that was running when the study was interrupted; its training resumes from its checkpoint."""
    from optuna.trial import TrialState

    for each in study.get_trials(states=(TrialState.RUNNING,)):
        study.enqueue_trial(each.params)
        study.tell(each.number, state=TrialState.FAIL)


def _record(study: Any, trial: Any, result: TrialResult) -> None:
    from optuna.trial import TrialState

    for key in ("job", "status", "seconds", "artifact", "reason"):
        trial.set_user_attr(key, getattr(result, key))
    value = next((each for each in reversed(result.history)), math.nan)
    if result.status == "Completed" and not math.isnan(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=TrialState.PRUNED if result.status == "Stopped" else TrialState.FAIL)


def _finished(study: Any) -> list[Any]:
    """Trials that ended in this study: neither those of warm_start nor interrupted ones."""
    return [each for each in study.trials if each.state.is_finished() and "job" in each.user_attrs]


def _trial(each: Any) -> Trial:
    attributes = each.user_attrs
    return Trial(
        job=attributes["job"],
        status=attributes["status"],
        values={key: text(value) for key, value in each.params.items()},
        objective=each.value if attributes["status"] == "Completed" else None,
        seconds=attributes["seconds"],
        artifact=attributes["artifact"],
        reason=attributes["reason"],
    )
