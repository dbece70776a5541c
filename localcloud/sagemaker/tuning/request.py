"""CreateHyperParameterTuningJob, parsed once, and the training requests that it turns into. Pure.

Rules 4, 11, 18 and 19 hold for its training jobs.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.records import invalid
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.request import parse as parse_training
from localcloud.sagemaker.tuning import space

OBJECTIVE = "_tuning_objective_metric"  # rule 19
KEYS = 100
ALL_FAILED = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job "
    "failures by listing training jobs for the hyperparameter tuning job."
)
RESOURCES = "HyperParameterTuningResourceConfig"
ATTEMPTS = 5  # a tuning job whose first trials all fail, fails after so many
NAME = "HyperParameterTuningJobName"
_COPIED = (
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig",
    "RetryStrategy", "Environment",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends a tuning job: `jobs` in all, `parallel` at once, `seconds` in all (None: no limit).

    `target` is an objective that is good enough. `patience` is how many jobs may bring no better objective.
    """

    jobs: int
    parallel: int
    seconds: float | None
    target: float | None
    patience: int | None


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The metric that the search improves."""

    metric: str
    maximise: bool


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """A valid CreateHyperParameterTuningJob request. `seed` None draws at random.

    `template` is what its training requests have in common. `described` is the request as it came; only Describe reads
    it, to echo it.
    """

    name: str
    strategy: str
    objective: Objective
    ranges: tuple[space.Range, ...]
    limits: Limits
    stops_early: bool
    seed: int | None
    role: str
    parents: tuple[str, ...]
    tags: tuple[Mapping[str, str], ...]
    template: Mapping[str, Any]
    described: Mapping[str, Any]

    def training_request(self, number: int, chosen: Mapping[str, str]) -> TrainingRequest:
        """The training request of trial `number` (from 1) with the hyperparameters that the search chose.

        Raises ApiError ValidationException when the definition is no valid training request.
        """
        values = {**self.template["HyperParameters"], **chosen, OBJECTIVE: self.objective.metric}
        name = f"{self.name}-{number:03d}-{uuid.uuid4().hex[:8]}"
        return parse_training({**self.template, "TrainingJobName": name, "HyperParameters": values})


def parse(params: Mapping[str, Any]) -> TuningRequest:
    """Parse a request that fits botocore's model. Raises ApiError ValidationException if localcloud cannot run it."""
    config, definition = params["HyperParameterTuningJobConfig"], _definition(params)
    if config["Strategy"] == "Hyperband":
        raise invalid("localcloud has no Hyperband: choose Bayesian, Random or Grid.")
    static = definition.get("StaticHyperParameters", {})
    ranges = _ranges(config, static)
    tags = tuple(params.get("Tags") or ())
    return TuningRequest(
        name=params[NAME],
        strategy=config["Strategy"],
        objective=_objective(config, definition),
        ranges=ranges,
        limits=_limits(config, ranges),
        stops_early=config.get("TrainingJobEarlyStoppingType") == "Auto",
        seed=config.get("RandomSeed"),
        role=definition["RoleArn"],
        parents=tuple(
            parent[NAME] for parent in params.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", ())
        ),
        tags=tags,
        template={
            "AlgorithmSpecification": dict(definition["AlgorithmSpecification"]),
            "HyperParameters": dict(static),
            "Tags": list(tags),
            **{key: definition[key] for key in _COPIED if key in definition},
            "ResourceConfig": _resources(definition),
        },
        described=params,
    )


def _definition(params: Mapping[str, Any]) -> Mapping[str, Any]:
    definition: Mapping[str, Any] | None = params.get("TrainingJobDefinition")
    if definition is None or "TrainingJobDefinitions" in params:
        raise invalid("localcloud tunes one TrainingJobDefinition.")
    if "Autotune" in params:
        raise invalid("localcloud does not choose ranges by itself: leave Autotune out.")
    if ("ResourceConfig" in definition) == (RESOURCES in definition):
        raise invalid(f"TrainingJobDefinition needs either a ResourceConfig or a {RESOURCES}.")
    return definition


def _resources(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The ResourceConfig of every training job. Of several InstanceConfigs the first: this machine is never short."""
    if "ResourceConfig" in definition:
        return dict(definition["ResourceConfig"])
    resources = dict(definition[RESOURCES])
    resources.pop("AllocationStrategy", None)
    choices = resources.pop("InstanceConfigs", ())
    single = "InstanceType" in resources or "InstanceCount" in resources
    if single == bool(choices):
        raise invalid(f"{RESOURCES} needs either InstanceType and InstanceCount, or InstanceConfigs.")
    return {**resources, **choices[0]} if choices else resources


def _ranges(config: Mapping[str, Any], static: Mapping[str, str]) -> tuple[space.Range, ...]:
    ranges = space.ranges(config.get("ParameterRanges", {}))
    twice = [each.name for each in ranges if each.name in static]
    if twice:
        raise invalid(f"Hyperparameter {twice[0]} has a range and a static value; give one of them.")
    count = len(ranges) + len(static)
    if count + 1 > KEYS:
        raise invalid(f"{count} hyperparameters with {OBJECTIVE} are more than the {KEYS} of a training job.")
    return ranges


def _objective(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Objective:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise invalid("HyperParameterTuningJobObjective is required.")
    name = objective["MetricName"]
    defined = [each["Name"] for each in definition["AlgorithmSpecification"].get("MetricDefinitions", ())]
    if name not in defined:
        raise invalid(f"The objective metric {name} is not among the MetricDefinitions: {', '.join(defined)}.")
    return Objective(metric=name, maximise=objective["Type"] == "Maximize")


def _limits(config: Mapping[str, Any], ranges: tuple[space.Range, ...]) -> Limits:
    limits, criteria = config["ResourceLimits"], config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise invalid("localcloud does not detect convergence: leave ConvergenceDetected out.")
    jobs, parallel = _job_count(config, ranges), limits["MaxParallelTrainingJobs"]
    if parallel > jobs:
        raise invalid(f"MaxParallelTrainingJobs {parallel} must be at most MaxNumberOfTrainingJobs, {jobs}.")
    return Limits(
        jobs=jobs,
        parallel=parallel,
        seconds=limits.get("MaxRuntimeInSeconds"),
        target=criteria.get("TargetObjectiveMetricValue"),
        patience=criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
    )


def _job_count(config: Mapping[str, Any], ranges: tuple[space.Range, ...]) -> int:
    jobs: int | None = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        count = len(space.combinations(ranges))
        if jobs not in (None, count):
            raise invalid(f"MaxNumberOfTrainingJobs {jobs}: the grid has {count} combinations; leave it out.")
        return count
    if jobs is None:
        raise invalid("ResourceLimits.MaxNumberOfTrainingJobs is required for this strategy.")
    return jobs
