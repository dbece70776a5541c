"""Which images something of an account starts from: models, functions with their versions, jobs that run."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.aws.client import pages
from deploy.aws.requests import lambda_, sagemaker
from deploy.values import Call


def referenced(call: Call) -> frozenset[str]:
    """The images' URIs, as they were given and as they were resolved; of anybody in the account, not only ours."""
    return frozenset((*_models(call), *_functions(call), *_jobs(call)))


def _models(call: Call) -> Iterator[str]:
    for model in pages(call, sagemaker("ListModels"), items="Models"):
        params = {"ModelName": model["ModelName"]}
        found = call(sagemaker("DescribeModel", **params))
        for container in (found.get("PrimaryContainer") or {}, *found.get("Containers", ())):
            if "Image" in container:
                yield str(container["Image"])


def _functions(call: Call) -> Iterator[str]:
    every = lambda_("ListFunctions", FunctionVersion="ALL")
    for function in pages(call, every, items="Functions", token=("NextMarker", "Marker")):
        if function.get("PackageType") == "Image":
            params = {"FunctionName": function["FunctionName"], "Qualifier": function["Version"]}
            code = call(lambda_("GetFunction", **params))["Code"]
            yield from (str(code[key]) for key in ("ImageUri", "ResolvedImageUri") if key in code)


def _jobs(call: Call) -> Iterator[str]:
    running = sagemaker("ListTrainingJobs", StatusEquals="InProgress")
    for job in pages(call, running, items="TrainingJobSummaries"):
        params = {"TrainingJobName": job["TrainingJobName"]}
        found = call(sagemaker("DescribeTrainingJob", **params))
        yield str(found["AlgorithmSpecification"].get("TrainingImage", ""))
