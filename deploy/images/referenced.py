"""Which images something of an account starts from: models, functions with their versions, jobs that run."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.aws.client import pages
from deploy.values import Call, Request


def referenced(call: Call) -> frozenset[str]:
    """The images' URIs, as they were given and as they were resolved; of anybody in the account, not only ours."""
    return frozenset((*_models(call), *_functions(call), *_jobs(call)))


def _models(call: Call) -> Iterator[str]:
    for model in pages(call, Request(service="sagemaker", operation="ListModels"), items="Models"):
        params = {"ModelName": model["ModelName"]}
        found = call(Request(service="sagemaker", operation="DescribeModel", params=params))
        for container in (found.get("PrimaryContainer") or {}, *found.get("Containers", ())):
            if "Image" in container:
                yield str(container["Image"])


def _functions(call: Call) -> Iterator[str]:
    every = Request(service="lambda", operation="ListFunctions", params={"FunctionVersion": "ALL"})
    for function in pages(call, every, items="Functions", token=("NextMarker", "Marker")):
        if function.get("PackageType") == "Image":
            params = {"FunctionName": function["FunctionName"], "Qualifier": function["Version"]}
            code = call(Request(service="lambda", operation="GetFunction", params=params))["Code"]
            yield from (str(code[key]) for key in ("ImageUri", "ResolvedImageUri") if key in code)


def _jobs(call: Call) -> Iterator[str]:
    running = Request(service="sagemaker", operation="ListTrainingJobs", params={"StatusEquals": "InProgress"})
    for job in pages(call, running, items="TrainingJobSummaries"):
        params = {"TrainingJobName": job["TrainingJobName"]}
        found = call(Request(service="sagemaker", operation="DescribeTrainingJob", params=params))
        yield str(found["AlgorithmSpecification"].get("TrainingImage", ""))
