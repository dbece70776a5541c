"""The search space of a tuning job: ParameterRanges parsed and checked, and the rule of early stopping. Pure."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from localcloud.sagemaker.records import invalid

MOST = 30  # hyperparameters with a range
RangeKind = Literal["Integer", "Continuous", "Categorical"]
Scale = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """One hyperparameter's range: `low` to `high` for a number, `values` for a category."""

    name: str
    kind: RangeKind
    low: float = 0.0
    high: float = 0.0
    scale: Scale = "Linear"
    values: tuple[str, ...] = ()


def ranges(parameters: Mapping[str, Any]) -> tuple[Range, ...]:
    """Parse ParameterRanges. Raises ApiError for a range that cannot be searched."""
    if parameters.get("AutoParameters"):
        raise invalid("localcloud does not choose ranges by itself: leave AutoParameters out.")
    numbers = [
        _number(each, kind)
        for kind, key in (("Integer", "IntegerParameterRanges"), ("Continuous", "ContinuousParameterRanges"))
        for each in parameters.get(key, ())
    ]
    categories = [
        Range(name=each["Name"], kind="Categorical", values=tuple(dict.fromkeys(each["Values"])))
        for each in parameters.get("CategoricalParameterRanges", ())
    ]
    searched = (*numbers, *categories)
    names = [each.name for each in searched]
    if len(set(names)) != len(names):
        raise invalid("The names of hyperparameter ranges must be unique.")
    if not 1 <= len(searched) <= MOST:
        raise invalid(f"ParameterRanges holds {len(searched)} ranges; 1 to {MOST} are allowed.")
    return searched


def _number(parameter: Mapping[str, str], kind: str) -> Range:
    name = parameter["Name"]
    low, high = (_read(parameter[key], kind, f"{key} of {name}") for key in ("MinValue", "MaxValue"))
    scale = parameter.get("ScalingType", "Auto")
    if low >= high:
        raise invalid(f"MinValue of {name}, {parameter['MinValue']}, must be below MaxValue, {parameter['MaxValue']}.")
    if scale == "Logarithmic" and low <= 0:
        raise invalid(f"Range {name}: Logarithmic scaling needs values above 0.")
    if scale == "ReverseLogarithmic" and (kind != "Continuous" or low < 0 or high >= 1):
        raise invalid(
            f"Range {name}: ReverseLogarithmic scaling is for continuous values from 0 up to, but not including, 1."
        )
    chosen: Scale = "Linear" if scale == "Auto" else scale  # type: ignore[assignment]  # the model holds the enum
    return Range(name=name, kind="Integer" if kind == "Integer" else "Continuous", low=low, high=high, scale=chosen)


def _read(text: str, kind: str, where: str) -> float:
    try:
        value = float(int(text) if kind == "Integer" else float(text))
    except ValueError:
        raise invalid(f"{where}: {text!r} is not {'an integer' if kind == 'Integer' else 'a number'}.") from None
    if not math.isfinite(value):
        raise invalid(f"{where}: {text!r} is not a finite number.")
    return value


def combinations(searched: Sequence[Range]) -> list[dict[str, str]]:
    """Every combination of a grid, in order. Raises ApiError for a range that is not categorical."""
    wrong = [each.name for each in searched if each.kind != "Categorical"]
    if wrong:
        raise invalid(f"Strategy Grid takes categorical ranges only, and {wrong[0]} is not categorical.")
    names = [each.name for each in searched]
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(each.values for each in searched))]


def text(value: Any) -> str:
    """A value as a hyperparameter's text."""
    return value if isinstance(value, str) else repr(value)


def falls_behind(current: Sequence[float], others: Iterable[Sequence[float]], *, maximise: bool) -> bool:
    """Early stopping's rule: the newest value is worse than the median of the others' running averages so far.

    After "How early stopping works" of the developer guide; `others` are the completed jobs' values.
    """
    reached = len(current)
    averages = [sum(other[:reached]) / reached for other in others if reached and len(other) >= reached]
    if not averages:
        return False
    middle = statistics.median(averages)
    return current[-1] < middle if maximise else current[-1] > middle
