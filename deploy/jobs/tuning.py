"""Hyperparameter tuning on SageMaker: its settings checked, its requests, and its trials as values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from contract import metrics
from contract.hyperparameters import TABLE, HyperparameterError, ValueKind, normalised
from deploy.aws import requests
from deploy.aws.client import lookup, pages
from deploy.aws.tags import tag_list
from deploy.config.section import Scalar, unknown
from deploy.config.settings import Settings
from deploy.config.training import Range, Tuning
from deploy.errors import SettingsError
from deploy.jobs import sagemaker
from deploy.jobs.request import JobRequest, text
from deploy.values import Call, Request, content_hash

LONGEST = 32  # of a tuning job's name
MOST_VALUES, MOST_VARIABLES, MOST_KEYS = 30, 48, 100  # of a range; rules 11 and 19
SCALES = {"linear": "Linear", "log": "Logarithmic"}
ENDED = ("Completed", "Failed", "Stopped")
NAME = "HyperParameterTuningJobName"
HEADINGS = ("rank", "objective", "seconds", "status", "values", "job")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of a search. `objective` is None while (or when) it has none."""

    job: str
    status: str
    values: Mapping[str, str]
    objective: float | None = None
    seconds: float = 0.0
    artifact: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search as it ended (or stands): its trials, the best first."""

    name: str
    status: str
    trials: tuple[Trial, ...] = field(default=())

    def to_json(self) -> str:
        """All of it, for a script to read."""
        return json.dumps(asdict(self), indent=2)

    @property
    def best(self) -> Trial | None:
        return self.trials[0] if self.trials and self.trials[0].objective is not None else None


def check(settings: Settings) -> None:
    """Raises SettingsError for a search that cannot be made, before anything is asked."""
    tuning = settings.tuning
    if not tuning.ranges:
        raise SettingsError("tuning.ranges: empty; say which hyperparameters to search")
    for name, given in tuning.ranges.items():
        _check_range(name, given, tuning)
    objectives = tuple(each["Name"] for each in metrics.definitions())
    if tuning.objective not in objectives:
        raise SettingsError(f"tuning.objective: {tuning.objective!r}: {unknown(tuning.objective, objectives)}")
    variables = len(settings.training.environment)
    if variables > MOST_VARIABLES:
        raise SettingsError(
            f"training.environment: {variables} variables; a tuning job takes {MOST_VARIABLES} (rule 11)"
        )
    keys = len({normalised(key) for key in settings.training.hyperparameters} | set(tuning.ranges)) + 1
    if keys > MOST_KEYS:
        raise SettingsError(f"training.hyperparameters: {keys} with the objective; {MOST_KEYS} are allowed")


def _check_range(name: str, given: Range, tuning: Tuning) -> None:
    where, kind = f"tuning.ranges.{name}", TABLE[name].kind
    if given.values:
        for value in given.values:
            _check_value(name, value)
        if len(given.values) > MOST_VALUES or len(set(map(text, given.values))) != len(given.values):
            raise SettingsError(f"{where}: at most {MOST_VALUES} values, each once")
        return
    if tuning.strategy == "Grid":
        raise SettingsError(f'{where}: strategy Grid takes values only; list them, or choose strategy = "Random"')
    if kind not in ("whole number", "number"):
        raise SettingsError(f"{where}: is {kind}, so it takes values, not min and max")
    for bound in (given.min, given.max):
        if bound is None or not math.isfinite(bound):
            raise SettingsError(f"{where}: {bound} is no {kind}")
        _check_value(name, bound)


def _check_value(name: str, value: Scalar) -> None:
    """Raises SettingsError for a value of another type, and in the trainer's words for one outside the limits."""
    if not _is_of_kind(value, TABLE[name].kind):
        raise SettingsError(f"tuning.ranges.{name}: {value!r} is no {TABLE[name].kind}")
    try:
        TABLE[name].check(value)
    except HyperparameterError as error:
        raise SettingsError(f"tuning.ranges.{error}") from error


def _is_of_kind(value: Scalar, kind: ValueKind) -> bool:
    """Whether a value of deploy.toml has the type; true is no number."""
    if kind == "text":
        return isinstance(value, str)
    if isinstance(value, bool) or kind == "true or false":
        return isinstance(value, bool) and kind == "true or false"
    return isinstance(value, int) or (isinstance(value, float) and (kind == "number" or value.is_integer()))


def name_of(settings: Settings, job: JobRequest) -> str:
    """A tuning job's name: from all that decides what is searched. Raises SettingsError when it is too long."""
    decisive = settings.tuning.model_dump(mode="json")
    room = min(8, LONGEST - 2 - len(f"{settings.prefix}-tune-"))  # two for an attempt: -2 … -9
    if room < 6:
        most = LONGEST - 2 - len("-tune-") - 6
        raise SettingsError(
            f"project.name: {settings.prefix} is too long for a tuning job, whose name has {LONGEST} characters: "
            f"project and stage together may have {most}"
        )
    return f"{settings.prefix}-tune-{content_hash(job.name, decisive, length=room)}"


def create(settings: Settings, job: JobRequest, name: str) -> Request:
    """The CreateHyperParameterTuningJob request (rules 4, 11, 18, 19).

    Trials keep no checkpoints: one place would be shared by all of them.
    """
    made = sagemaker.create(replace(job, keep_alive_s=0)).params
    definition = {
        key: made[key]
        for key in ("RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
                    "RetryStrategy", "EnableManagedSpotTraining", "Environment", "VpcConfig")
        if key in made
    }  # fmt: skip
    static = {key: value for key, value in job.hyperparameters.items() if key not in settings.tuning.ranges}
    params = {
        NAME: name,
        "HyperParameterTuningJobConfig": _config(settings.tuning),
        "TrainingJobDefinition": {
            **definition,
            "AlgorithmSpecification": made["AlgorithmSpecification"],
            "StaticHyperParameters": static,
        },
        "Tags": tag_list(job.tags),
        **_warm_start(settings.tuning.warm_start),
    }
    return requests.sagemaker("CreateHyperParameterTuningJob", **params)


def _config(tuning: Tuning) -> dict[str, Any]:
    limits: dict[str, Any] = {"MaxParallelTrainingJobs": tuning.max_parallel}
    if tuning.strategy != "Grid":  # whose size follows from its values
        limits["MaxNumberOfTrainingJobs"] = tuning.max_jobs
    return {
        "Strategy": tuning.strategy,
        "HyperParameterTuningJobObjective": {"Type": tuning.direction, "MetricName": tuning.objective},
        "ResourceLimits": limits,
        "ParameterRanges": parameter_ranges(tuning.ranges),
        "TrainingJobEarlyStoppingType": "Auto" if tuning.early_stopping else "Off",
    }


def parameter_ranges(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """[tuning.ranges] as ParameterRanges; empty lists are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, given in sorted(ranges.items()):
        if given.values:
            values = [text(value) for value in given.values]
            found.setdefault("CategoricalParameterRanges", []).append({"Name": name, "Values": values})
            continue
        whole = TABLE[name].kind == "whole number"
        key = "IntegerParameterRanges" if whole else "ContinuousParameterRanges"
        low, high = (_number(bound, whole=whole) for bound in (given.min, given.max))
        found.setdefault(key, []).append(
            {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": SCALES[given.scale]}
        )
    return dict(found)


def _number(bound: float | None, *, whole: bool) -> str:
    return str(int(bound or 0)) if whole else repr(float(bound or 0))


def _warm_start(parent: str) -> dict[str, Any]:
    """What an earlier job saw, even of other pictures or another image: TransferLearning allows that."""
    if not parent:
        return {}
    config = {"ParentHyperParameterTuningJobs": [{NAME: parent}], "WarmStartType": "TransferLearning"}
    return {"WarmStartConfig": config}


def describe(name: str, call: Call) -> Mapping[str, Any] | None:
    """DescribeHyperParameterTuningJob's answer, or None."""
    return lookup(call, requests.sagemaker("DescribeHyperParameterTuningJob", **{NAME: name}))


def stop(name: str) -> Request:
    return requests.sagemaker("StopHyperParameterTuningJob", **{NAME: name})


def running(settings: Settings) -> Request:
    """The newest tuning jobs of the stage that have not ended."""
    params = {
        "NameContains": f"{settings.prefix}-tune-",
        "StatusEquals": "InProgress",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
    }
    return requests.sagemaker("ListHyperParameterTuningJobs", **params)


def trials(name: str, tuning: Tuning, call: Call) -> tuple[Trial, ...]:
    """A tuning job's trials, the best first."""
    params = {NAME: name, "MaxResults": 100}
    request = requests.sagemaker("ListTrainingJobsForHyperParameterTuningJob", **params)
    found = (trial(each) for each in pages(call, request, items="TrainingJobSummaries"))
    return ranked(found, maximise=tuning.direction == "Maximize")


def trial(summary: Mapping[str, Any]) -> Trial:
    """A HyperParameterTrainingJobSummary as a Trial."""
    began, ended = summary.get("TrainingStartTime"), summary.get("TrainingEndTime")
    objective = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    value = float(objective["Value"]) if objective else math.nan
    return Trial(
        job=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        values=summary.get("TunedHyperParameters", {}),
        objective=None if math.isnan(value) else value,
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        reason=summary.get("FailureReason", ""),
    )


def ranked(found: Iterable[Trial], *, maximise: bool) -> tuple[Trial, ...]:
    """The best first; without an objective last, in the order in which they were made."""

    def key(each: Trial) -> tuple[bool, float]:
        value = each.objective
        return value is None, -(value or 0.0) if maximise else value or 0.0

    return tuple(sorted(found, key=key))


def table(trials: Iterable[Trial]) -> list[tuple[str, ...]]:
    """The rows under HEADINGS."""
    return [
        (
            str(rank) if each.objective is not None else "-",
            f"{each.objective:.5g}" if each.objective is not None else "-",
            f"{each.seconds:.0f}",
            each.status,
            "  ".join(f"{name}={shown(value)}" for name, value in sorted(each.values.items())),
            each.job,
        )
        for rank, each in enumerate(trials, start=1)
    ]


def shown(value: str) -> str:
    """A hyperparameter for people: numbers by four digits."""
    try:
        return f"{float(value):.4g}" if "." in value or "e" in value else value
    except ValueError:
        return value
