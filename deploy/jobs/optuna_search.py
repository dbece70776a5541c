"""A search on this machine: Optuna chooses, the same training container trains, and the study is kept to go on from."""

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
class Ended:
    """How one training ended. `history` holds the objective after each epoch; its last is what counts."""

    job: str
    status: str
    history: tuple[float, ...] = ()
    seconds: float = 0.0
    artifact: str = ""
    reason: str = ""


Train = Callable[[Mapping[str, str], Callable[[float], bool]], Ended]


def search(
    tuning: Tuning, *, name: str, folder: Path, train: Train, seen: Callable[[Trial], None] = lambda _: None
) -> tuple[Trial, ...]:
    """Every trial of the study, in the order in which they were made; those of an earlier run are not made again.

    `train` is given values and a function that hears each objective and says whether to stop early. A study that was
    broken off tries first what was under way. Raises SettingsError for a warm_start that is not there.
    """
    study = _study(tuning, name=name, folder=folder)
    wanted = len(combinations(tuning)) if tuning.strategy == "Grid" else tuning.max_jobs
    _begin_again(study)
    if tuning.strategy == "Grid":
        for chosen in combinations(tuning):
            study.enqueue_trial(chosen, skip_if_exists=True)
    while len(_finished(study)) < wanted:
        trial = study.ask({key: _distribution(key, given) for key, given in tuning.ranges.items()})
        values = {key: text(value) for key, value in trial.params.items()}
        ended = train(values, _Ear(trial=trial, early=tuning.early_stopping))
        _tell(study, trial, ended)
        seen(_trial(study.trials[trial.number]))
    return tuple(_trial(each) for each in _finished(study))


def combinations(tuning: Tuning) -> list[dict[str, Scalar]]:
    """Every choice of a grid."""
    every = itertools.product(*(given.values for given in tuning.ranges.values()))
    return [dict(zip(tuning.ranges, chosen, strict=True)) for chosen in every]


@dataclass(kw_only=True)
class _Ear:
    """Hears a trial's objective after each epoch, and says whether it falls behind the median of the others."""

    trial: Any
    early: bool
    epoch: int = 0

    def __call__(self, value: float) -> bool:
        self.epoch += 1
        self.trial.report(value, self.epoch)
        return self.early and bool(self.trial.should_prune())


def _study(tuning: Tuning, *, name: str, folder: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    seen = list(_parents(tuning, folder)) if tuning.warm_start else []
    study = optuna.create_study(
        study_name=name,
        storage=_storage(folder / f"{name}.log"),
        load_if_exists=True,
        direction="maximize" if tuning.direction == "Maximize" else "minimize",
        sampler=_sampler(tuning),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )
    if not study.trials:
        study.add_trials(seen)
    return study


def _storage(path: Path) -> Any:
    """A journal: it survives a kill, and needs no database."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def _parents(tuning: Tuning, folder: Path) -> Iterator[Any]:
    """What an earlier study saw within these ranges."""
    import optuna

    path = folder / f"{tuning.warm_start}.log"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.log"))) or "none"
        raise SettingsError(f"tuning.warm_start: no search here is called {tuning.warm_start}; there are {known}")
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
    except ValueError:  # outside of these ranges
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


def _begin_again(study: Any) -> None:
    """What was under way when the study was broken off is tried first; its training goes on from its checkpoint."""
    from optuna.trial import TrialState

    for each in study.get_trials(states=(TrialState.RUNNING,)):
        study.enqueue_trial(each.params)
        study.tell(each.number, state=TrialState.FAIL)


def _tell(study: Any, trial: Any, ended: Ended) -> None:
    from optuna.trial import TrialState

    told = {"job": ended.job, "status": ended.status, "seconds": ended.seconds, "artifact": ended.artifact}
    for key, value in {**told, "reason": ended.reason}.items():
        trial.set_user_attr(key, value)
    value = next((each for each in reversed(ended.history)), math.nan)
    if ended.status == "Completed" and not math.isnan(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=TrialState.PRUNED if ended.status == "Stopped" else TrialState.FAIL)


def _finished(study: Any) -> list[Any]:
    """Trials that ran to an end here; neither those of a parent nor those that were broken off."""
    return [each for each in study.trials if each.state.is_finished() and "job" in each.user_attrs]


def _trial(each: Any) -> Trial:
    told = each.user_attrs
    return Trial(
        job=told["job"],
        status=told["status"],
        values={key: text(value) for key, value in each.params.items()},
        objective=each.value if told["status"] == "Completed" else None,
        seconds=told["seconds"],
        artifact=told["artifact"],
        reason=told["reason"],
    )
