"""Which hyperparameters to try next: a grid, random values, or a guess from earlier trials (Optuna's TPE)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from localcloud.sagemaker.tuning.space import Range, combinations, text


class Search(Protocol):
    """Chooses trials, identified by number, and learns from how they ended."""

    def ask(self) -> tuple[int, dict[str, str]] | None:
        """Return the next trial's number and hyperparameters; None when every combination was tried."""
        ...

    def tell(self, number: int, value: float | None) -> None:
        """Report a trial's objective; None for a trial without one."""
        ...

    def learn(self, chosen: Mapping[str, str], value: float) -> None:
        """Learn from a trial of an earlier tuning job (warm start)."""
        ...


def search(strategy: str, ranges: Sequence[Range], *, maximise: bool, seed: int | None) -> Search:
    """Return the search for a Strategy (Grid, Random or Bayesian). Raises ApiError for ranges it cannot search."""
    if strategy == "Grid":
        return Grid(choices=combinations(ranges))
    return Sampled(ranges=tuple(ranges), study=_study(strategy, maximise=maximise, seed=seed))


@dataclass(kw_only=True)
class Grid:
    """Every combination once."""

    choices: Sequence[dict[str, str]]
    position: int = 0

    def ask(self) -> tuple[int, dict[str, str]] | None:
        if self.position == len(self.choices):
            return None
        self.position += 1
        return self.position - 1, self.choices[self.position - 1]

    def tell(self, number: int, value: float | None) -> None: ...

    def learn(self, chosen: Mapping[str, str], value: float) -> None: ...


@dataclass(kw_only=True)
class Sampled:
    """An Optuna study in memory."""

    ranges: tuple[Range, ...]
    study: Any
    trials: dict[int, Any] = field(default_factory=dict)

    def ask(self) -> tuple[int, dict[str, str]]:
        trial = self.study.ask({each.name: _distribution(each) for each in self.ranges})
        self.trials[trial.number] = trial
        return trial.number, {each.name: _shown(each, trial.params[each.name]) for each in self.ranges}

    def tell(self, number: int, value: float | None) -> None:
        from optuna.trial import TrialState

        trial = self.trials.pop(number)
        self.study.tell(trial, value, state=None if value is not None else TrialState.FAIL)

    def learn(self, chosen: Mapping[str, str], value: float) -> None:
        """Learn from an earlier trial; one outside these ranges is ignored."""
        from optuna.trial import create_trial

        try:
            params = {each.name: _read(each, chosen[each.name]) for each in self.ranges}
            distributions = {each.name: _distribution(each) for each in self.ranges}
            self.study.add_trial(create_trial(params=params, distributions=distributions, value=value))
        except (KeyError, ValueError):
            return


def _study(strategy: str, *, maximise: bool, seed: int | None) -> Any:
    import optuna  # here, because it takes half a second and few need it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = optuna.samplers
    sampler = (
        samplers.RandomSampler(seed=seed)
        if strategy == "Random"
        else samplers.TPESampler(seed=seed, n_startup_trials=5, constant_liar=True)
    )
    return optuna.create_study(direction="maximize" if maximise else "minimize", sampler=sampler)


def _distribution(of: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if of.kind == "Categorical":
        return CategoricalDistribution(of.values)
    if of.kind == "Integer":
        return IntDistribution(int(of.low), int(of.high), log=of.scale == "Logarithmic")
    if of.scale == "ReverseLogarithmic":
        return FloatDistribution(1 - of.high, 1 - of.low, log=True)
    return FloatDistribution(of.low, of.high, log=of.scale == "Logarithmic")


def _shown(of: Range, value: Any) -> str:
    return text(1 - value if of.scale == "ReverseLogarithmic" else value)


def _read(of: Range, chosen: str) -> Any:
    if of.kind == "Categorical":
        return chosen
    if of.kind == "Integer":
        return int(chosen)
    return 1 - float(chosen) if of.scale == "ReverseLogarithmic" else float(chosen)
