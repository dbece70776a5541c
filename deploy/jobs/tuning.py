"""Hyperparameter tuning on SageMaker: checks of [tuning], the requests, and trials as values."""

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
from deploy.jobs.lifecycle import JobStatus
from deploy.jobs.request import JobRequest, text
from deploy.values import Call, Request, content_hash

LONGEST = 32  # characters of a tuning job's name
MOST_VALUES, MOST_VARIABLES, MOST_KEYS = 30, 48, 100  # values of a range (rule 19), variables, keys
SCALES = {"linear": "Linear", "log": "Logarithmic"}
NAME = "HyperParameterTuningJobName"
HEADINGS = ("rank", "objective", "seconds", "status", "values", "job")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a search. `objective` is None for a trial that has reported none (yet)."""

    job: str
    status: str
    values: Mapping[str, str]
    objective: float | None = None
    seconds: float = 0.0
    artifact: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search and its trials so far, the best first."""

    name: str
    status: str
    trials: tuple[Trial, ...] = field(default=())

    def to_json(self) -> str:
        """The search and its trials as JSON."""
        return json.dumps(asdict(self), indent=2)

    @property
    def best(self) -> Trial | None:
        return self.trials[0] if self.trials and self.trials[0].objective is not None else None


def check(settings: Settings) -> None:
    """Raises SettingsError for a search that AWS would refuse, before any request."""
    tuning = settings.tuning
    if not tuning.ranges:
        raise SettingsError("tuning.ranges: empty; list the hyperparameters to search")
    for name, given in tuning.ranges.items():
        _check_range(name, given, tuning)
    objectives = tuple(each["Name"] for each in metrics.definitions())
    if tuning.objective not in objectives:
        raise SettingsError(f"tuning.objective: {tuning.objective!r}: {unknown(tuning.objective, objectives)}")
    variables = len(settings.training.environment)
    if variables > MOST_VARIABLES:
        raise SettingsError(f"training.environment: {variables} variables; a tuning job takes {MOST_VARIABLES}")
    keys = len({normalised(key) for key in settings.training.hyperparameters} | set(tuning.ranges)) + 1
    if keys > MOST_KEYS:
        raise SettingsError(f"training.hyperparameters: {keys} with the objective; a tuning job takes {MOST_KEYS}")


def _check_range(name: str, given: Range, tuning: Tuning) -> None:
    key, kind = f"tuning.ranges.{name}", TABLE[name].kind
    if given.values:
        for value in given.values:
            _check_value(name, value)
        if len(given.values) > MOST_VALUES or len(set(map(text, given.values))) != len(given.values):
            raise SettingsError(f"{key}: list at most {MOST_VALUES} values, each once")
        return
    if tuning.strategy == "Grid":
        raise SettingsError(f'{key}: strategy Grid takes values only; list them, or choose strategy = "Random"')
    if kind not in ("whole number", "number"):
        raise SettingsError(f"{key}: the hyperparameter is {_with_article(kind)}, so give values, not min and max")
    for bound in (given.min, given.max):
        if bound is None or not math.isfinite(bound):
            raise SettingsError(f"{key}: {bound} is not {_with_article(kind)}")
        _check_value(name, bound)


def _check_value(name: str, value: Scalar) -> None:
    """Raises SettingsError for a value of another type, and in the trainer's words for one outside the limits."""
    if not _is_of_kind(value, TABLE[name].kind):
        raise SettingsError(f"tuning.ranges.{name}: {value!r} is not {_with_article(TABLE[name].kind)}")
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


def _with_article(kind: ValueKind) -> str:
    return kind if kind in ("text", "true or false") else f"a {kind}"


def name_of(settings: Settings, job: JobRequest) -> str:
    """A tuning job's name, a hash of all that decides the search. Raises SettingsError when the name is too long."""
    decisive = settings.tuning.model_dump(mode="json")
    length = min(8, LONGEST - 2 - len(f"{settings.prefix}-tune-"))  # two characters for a further attempt: -2 … -9
    if length < 6:
        most = LONGEST - 2 - len("-tune-") - 6
        raise SettingsError(
            f"project.name: {settings.prefix} is too long for the name of a tuning job, which has at most {LONGEST} "
            f"characters: project and stage together may have {most}"
        )
    return f"{settings.prefix}-tune-{content_hash(job.name, decisive, length=length)}"


def create(settings: Settings, job: JobRequest, name: str) -> Request:
    """The CreateHyperParameterTuningJob request (rules 4, 11, 18, 19).

    Trials write no checkpoints, because all trials would share one S3 URI.
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
    if tuning.strategy != "Grid":  # a grid's size follows from its values
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
    parameters: dict[str, list[dict[str, Any]]] = {}
    for name, given in sorted(ranges.items()):
        if given.values:
            values = [text(value) for value in given.values]
            parameters.setdefault("CategoricalParameterRanges", []).append({"Name": name, "Values": values})
            continue
        whole = TABLE[name].kind == "whole number"
        key = "IntegerParameterRanges" if whole else "ContinuousParameterRanges"
        low, high = (_number(bound, whole=whole) for bound in (given.min, given.max))
        parameters.setdefault(key, []).append(
            {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": SCALES[given.scale]}
        )
    return parameters


def _number(bound: float | None, *, whole: bool) -> str:
    return str(int(bound or 0)) if whole else repr(float(bound or 0))


def _warm_start(parent: str) -> dict[str, Any]:
    """The results of an earlier job: TransferLearning also allows jobs with other pictures or another image."""
    if not parent:
        return {}
    config = {"ParentHyperParameterTuningJobs": [{NAME: parent}], "WarmStartType": "TransferLearning"}
    return {"WarmStartConfig": config}


def describe(name: str, call: Call) -> JobStatus | None:
    """The state of a tuning job; None when it does not exist."""
    answer = lookup(call, requests.sagemaker("DescribeHyperParameterTuningJob", **{NAME: name}))
    if answer is None:
        return None
    status, reason = answer["HyperParameterTuningJobStatus"], answer.get("FailureReason", "")
    return JobStatus(status=str(status), failure_reason=str(reason))


def stop(name: str) -> Request:
    return requests.sagemaker("StopHyperParameterTuningJob", **{NAME: name})


def running(settings: Settings) -> Request:
    """The request that lists the stage's running tuning jobs, the newest first."""
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
    listed = (trial(each) for each in pages(call, request, items="TrainingJobSummaries"))
    return ranked(listed, maximise=tuning.direction == "Maximize")


def trial(summary: Mapping[str, Any]) -> Trial:
    """The Trial of a HyperParameterTrainingJobSummary."""
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


def ranked(trials: Iterable[Trial], *, maximise: bool) -> tuple[Trial, ...]:
    """The best first. Trials without an objective come last, in their given order."""

    def key(each: Trial) -> tuple[bool, float]:
        value = each.objective
        return value is None, -(value or 0.0) if maximise else value or 0.0

    return tuple(sorted(trials, key=key))


def table(trials: Iterable[Trial]) -> list[tuple[str, ...]]:
    """The rows under HEADINGS."""
    return [
        (
            str(rank) if each.objective is not None else "-",
            f"{each.objective:.5g}" if each.objective is not None else "-",
            f"{each.seconds:.0f}",
            each.status,
            "  ".join(f"{name}={shortened(value)}" for name, value in sorted(each.values.items())),
            each.job,
        )
        for rank, each in enumerate(trials, start=1)
    ]


def shortened(value: str) -> str:
    """A hyperparameter for a table: four digits of a number."""
    try:
        return f"{float(value):.4g}" if "." in value or "e" in value else value
    except ValueError:
        return value
