"""A CreateHyperParameterTuningJob request: what it may say, and the training jobs that it becomes. Pure.

rules 4, 11, 18 and 19 hold for those jobs.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.records import Params, invalid
from localcloud.sagemaker.tuning import space

OBJECTIVE = "_tuning_objective_metric"  # rule 19
KEYS = 100
ALL_FAILED = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job "
    "failures by listing training jobs for the hyperparameter tuning job."
)
ATTEMPTS = 5  # without any success, and the tuning job fails
_COPIED = (
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig",
    "RetryStrategy", "Environment",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a tuning job may do. `jobs` in all, `parallel` at once, `seconds` in all (None: as long as it takes)."""

    jobs: int
    parallel: int
    seconds: float | None
    target: float | None
    patience: int | None  # jobs without a better objective


def check(params: Mapping[str, Any]) -> tuple[space.Range, ...]:
    """The ranges of a request that localcloud can run. Raises ApiError ValidationException."""
    config, definition = params["HyperParameterTuningJobConfig"], params.get("TrainingJobDefinition")
    if definition is None or "TrainingJobDefinitions" in params:
        raise invalid("localcloud tunes one TrainingJobDefinition.")
    if config["Strategy"] == "Hyperband":
        raise invalid("localcloud has no Hyperband: choose Bayesian, Random or Grid.")
    if "Autotune" in params:
        raise invalid("localcloud does not choose ranges by itself: leave Autotune out.")
    if "ResourceConfig" not in definition:
        raise invalid("TrainingJobDefinition needs a ResourceConfig.")
    found = space.ranges(config.get("ParameterRanges", {}))
    static = definition.get("StaticHyperParameters", {})
    twice = [each.name for each in found if each.name in static]
    if twice:
        raise invalid(f"Hyperparameter {twice[0]} has a range and a static value; give one of them.")
    if len(found) + len(static) + 1 > KEYS:
        raise invalid(
            f"{len(found) + len(static)} hyperparameters with {OBJECTIVE} are more than the {KEYS} of a training job."
        )
    _check_objective(config, definition)
    limits(params, found)
    return found


def _check_objective(config: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise invalid("HyperParameterTuningJobObjective is required.")
    named = [each["Name"] for each in definition["AlgorithmSpecification"].get("MetricDefinitions", ())]
    if objective["MetricName"] not in named:
        raise invalid(
            f"The objective metric {objective['MetricName']} is not among the MetricDefinitions: {', '.join(named)}."
        )


def limits(params: Mapping[str, Any], ranges: tuple[space.Range, ...]) -> Limits:
    """What ends the job. Raises ApiError for limits that contradict each other."""
    config = params["HyperParameterTuningJobConfig"]
    given, criteria = config["ResourceLimits"], config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise invalid("localcloud does not detect convergence: leave ConvergenceDetected out.")
    jobs = given.get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        count = len(space.combinations(ranges))
        if jobs not in (None, count):
            raise invalid(f"MaxNumberOfTrainingJobs {jobs}: the grid has {count} combinations; leave it out.")
        jobs = count
    if jobs is None:
        raise invalid("ResourceLimits.MaxNumberOfTrainingJobs is required for this strategy.")
    parallel = given["MaxParallelTrainingJobs"]
    if parallel > jobs:
        raise invalid(f"MaxParallelTrainingJobs {parallel} must be at most MaxNumberOfTrainingJobs, {jobs}.")
    return Limits(
        jobs=jobs,
        parallel=parallel,
        seconds=given.get("MaxRuntimeInSeconds"),
        target=criteria.get("TargetObjectiveMetricValue"),
        patience=criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
    )


def training_request(params: Mapping[str, Any], number: int, chosen: Mapping[str, str]) -> Params:
    """The CreateTrainingJob request of trial `number` (from 1)."""
    definition = params["TrainingJobDefinition"]
    objective = params["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    values = {**definition.get("StaticHyperParameters", {}), **chosen, OBJECTIVE: objective}
    return {
        "TrainingJobName": f"{params['HyperParameterTuningJobName']}-{number:03d}-{uuid.uuid4().hex[:8]}",
        "AlgorithmSpecification": dict(definition["AlgorithmSpecification"]),
        "HyperParameters": values,
        "Tags": list(params.get("Tags", ())),
        **{key: definition[key] for key in _COPIED if key in definition},
    }
