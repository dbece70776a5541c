"""The images that an account uses: in models, functions with all their versions, and running jobs."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.aws.client import pages
from deploy.aws.requests import lambda_, sagemaker
from deploy.values import Call


def referenced(call: Call) -> frozenset[str]:
    """The images' URIs, by tag and by digest; those of the whole account, not only ours."""
    return frozenset((*_models(call), *_functions(call), *_jobs(call)))


def _models(call: Call) -> Iterator[str]:
    for model in pages(call, sagemaker("ListModels"), items="Models"):
        answer = call(sagemaker("DescribeModel", ModelName=model["ModelName"]))
        for container in (answer.get("PrimaryContainer") or {}, *answer.get("Containers", ())):
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
        answer = call(sagemaker("DescribeTrainingJob", TrainingJobName=job["TrainingJobName"]))
        yield str(answer["AlgorithmSpecification"].get("TrainingImage", ""))
