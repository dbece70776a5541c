"""The AWS CLI works with localcloud as with AWS: a job, an endpoint, an invocation, its waiters and its errors."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.container.clients.conftest import credentials

ROLE = "arn:aws:iam::123456789012:role/clients"
HYPERPARAMETERS = {
    "model": "resnet18",
    "weights": "none",
    "epochs": "1",
    "batch_size": "8",
    "resize": "40",
    "crop": "32",
}

Aws = Callable[..., Any]


class AwsError(Exception):
    """A failure of the CLI, with its stderr."""


@pytest.fixture(scope="module")
def aws(clients: Path, cloud: str) -> Aws:
    """Runs `aws …` and returns its decoded output; raises AwsError when it fails."""

    def run(*arguments: str, **parameters: Any) -> Any:
        command = [str(clients / "aws"), "--endpoint-url", cloud, "--output", "json", *arguments]
        if parameters:
            command += ["--cli-input-json", json.dumps(parameters)]
        environment = {"PATH": "/usr/bin:/bin", "AWS_PAGER": "", **credentials()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
        if done.returncode != 0:
            raise AwsError(done.stderr)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    return run


@pytest.fixture(scope="module")
def job(aws: Aws, pictures: Path, train_image: str) -> dict[str, Any]:
    """The description of a finished training job."""
    aws("s3", "mb", "s3://clients")
    aws("s3", "cp", "--recursive", "--quiet", str(pictures), "s3://clients/pictures")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://clients/pictures/"}
    aws(
        "sagemaker",
        "create-training-job",
        TrainingJobName="cli",
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": train_image, "TrainingInputMode": "File"},
        HyperParameters=HYPERPARAMETERS,
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": "s3://clients/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    return _ended(lambda: aws("sagemaker", "describe-training-job", "--training-job-name", "cli"))


def _ended(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Polls like `aws sagemaker wait`, but every second: the CLI's waiter polls every two minutes."""
    deadline = time.monotonic() + 300
    while (job := describe())["TrainingJobStatus"] in {"InProgress", "Stopping"}:
        assert time.monotonic() < deadline, job
        time.sleep(1)
    return job


def test_a_job_completes_and_its_artifact_can_be_copied(aws: Aws, job: dict[str, Any], tmp_path: Path) -> None:
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    aws("s3", "cp", "--quiet", job["ModelArtifacts"]["S3ModelArtifacts"], str(tmp_path / "model.tar.gz"))
    assert (tmp_path / "model.tar.gz").stat().st_size > 1_000_000


def test_a_job_s_log_can_be_read(aws: Aws, job: dict[str, Any]) -> None:
    group = ("--log-group-name", "/aws/sagemaker/TrainingJobs", "--log-stream-name-prefix", job["TrainingJobName"])
    events = aws("logs", "filter-log-events", *group)["events"]
    assert any("kennel epoch=1" in event["message"] for event in events)


def test_an_endpoint_goes_into_service_answers_and_is_deleted(
    aws: Aws, job: dict[str, Any], serve_image: str, pictures: Path, tmp_path: Path
) -> None:
    container = {"Image": serve_image, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    variant = {"VariantName": "all", "ModelName": "cli", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    aws("sagemaker", "create-model", ModelName="cli", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    aws("sagemaker", "create-endpoint-config", EndpointConfigName="cli", ProductionVariants=[variant])
    aws("sagemaker", "create-endpoint", EndpointName="cli", EndpointConfigName="cli")
    _until(lambda: _endpoints(aws) == ["InService"])
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", "cli")
    picture, answer = pictures / "test/red/0.jpg", tmp_path / "answer.json"
    invoke = ("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "cli", "--content-type", "image/jpeg")
    aws(*invoke, "--body", f"fileb://{picture}", str(answer))
    assert json.loads(answer.read_text())["predictions"][0]["label"] == "red"
    aws("sagemaker", "delete-endpoint", "--endpoint-name", "cli")
    _until(lambda: _endpoints(aws) == [])
    aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", "cli")


def _endpoints(aws: Aws) -> list[str]:
    return [each["EndpointStatus"] for each in aws("sagemaker", "list-endpoints")["Endpoints"]]


def _until(condition: Callable[[], bool]) -> None:
    """Polls until `condition` holds, so that the CLI's waiter, which polls every 30 seconds, then returns at once."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_name_that_aws_would_refuse_is_refused_with_aws_s_message(aws: Aws) -> None:
    with pytest.raises(AwsError, match=r"ValidationException.*failed to satisfy constraint"):
        aws("sagemaker", "create-endpoint", EndpointName="not_allowed", EndpointConfigName="cli")
