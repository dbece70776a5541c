"""The images that a stage uses: in its models, its function with all versions, and its running jobs.

A stage's repositories are its own, and so are those who start from them. Of others' models, functions and jobs the
deployer may see the names and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.aws.client import is_missing, lookup, pages
from deploy.aws.requests import lambda_, sagemaker
from deploy.config.settings import Settings
from deploy.errors import AwsError
from deploy.planning.resource import listing
from deploy.values import Call, Request

MODELS = listing("sagemaker", "ListModels", "Models", "ModelName", NameContains="{prefix}")
TRAINING = listing(
    "sagemaker", "ListTrainingJobs", "TrainingJobSummaries", "TrainingJobName", StatusEquals="InProgress",
    NameContains="{prefix}-",
)  # fmt: skip


def referenced(settings: Settings, call: Call) -> frozenset[str]:
    """The images' URIs, by tag and by digest."""
    return frozenset((*_models(settings, call), *_function(settings, call), *_jobs(settings, call)))


def _models(settings: Settings, call: Call) -> Iterator[str]:
    for name in MODELS(settings, call):
        model = lookup(call, sagemaker("DescribeModel", ModelName=name)) or {}
        for container in (model.get("PrimaryContainer") or {}, *model.get("Containers", ())):
            if "Image" in container:
                yield str(container["Image"])


def _function(settings: Settings, call: Call) -> Iterator[str]:
    name = settings.function_name
    for version in _versions(lambda_("ListVersionsByFunction", FunctionName=name), call):
        if version.get("PackageType") == "Image":
            about = {"FunctionName": name, "Qualifier": version["Version"]}
            code = (lookup(call, lambda_("GetFunction", **about)) or {}).get("Code", {})
            yield from (str(code[key]) for key in ("ImageUri", "ResolvedImageUri") if key in code)


def _versions(request: Request, call: Call) -> list[Any]:
    """All versions of a function; none where it does not exist."""
    try:
        return list(pages(call, request, items="Versions", token=("NextMarker", "Marker")))
    except AwsError as error:
        if is_missing(error):
            return []
        raise


def _jobs(settings: Settings, call: Call) -> Iterator[str]:
    for name in TRAINING(settings, call):
        job = lookup(call, sagemaker("DescribeTrainingJob", TrainingJobName=name)) or {}
        yield str(job.get("AlgorithmSpecification", {}).get("TrainingImage", ""))
