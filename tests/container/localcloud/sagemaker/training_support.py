"""Training jobs whose program is a Python script in a channel."""

import io
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
from localcloud.aws_client import client
from tests.container.localcloud.roles import make_roles

LABEL = "kennel.localcloud"
SCOPE = "us-east-1"


class Bench:
    """One localcloud through boto3, with a bucket `data`."""

    def __init__(self, url: str, image: str) -> None:
        self.url, self.image = url, image
        self.s3 = client("s3", url, SCOPE)
        self.sagemaker = client("sagemaker", url, SCOPE)
        self.logs = client("logs", url, SCOPE)
        self.s3.create_bucket(Bucket="data")
        make_roles(url, "train")

    def train(self, name: str, program: str, **changes: Any) -> None:
        """CreateTrainingJob that runs `program` by the base image's Python."""
        self.s3.put_object(Bucket="data", Key=f"code/{name}/main.py", Body=program.encode())
        algorithm = {
            "TrainingImage": self.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "-u", "/opt/ml/input/data/code/main.py"],
        }
        channels = [s3_channel("code", f"s3://data/code/{name}"), *changes.pop("InputDataConfig", [])]
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": algorithm | changes.pop("AlgorithmSpecification", {}),
            "RoleArn": "arn:aws:iam::123456789012:role/train",
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_training_job(**request | changes)

    def wait(self, name: str) -> dict[str, Any]:
        """Through boto3's own waiter; the description at the end, however the job ended."""
        waiter = self.sagemaker.get_waiter("training_job_completed_or_stopped")
        try:
            waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 90})
        except Exception as error:
            if "terminal failure" not in str(error):
                raise
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def lines(self, name: str) -> dict[str, list[str]]:
        """Host → its log lines in CloudWatch Logs."""
        group = "/aws/sagemaker/TrainingJobs"
        streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        return {
            stream["logStreamName"].removeprefix(f"{name}/").rpartition("-")[0]: [
                event["message"]
                for event in self.logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
                )["events"]
            ]
            for stream in streams
        }

    def logged(self, name: str, text: str) -> Callable[[], bool]:
        """Return a condition: some host of the job has logged the text."""

        def heard() -> bool:
            try:
                return any(text in line for lines in self.lines(name).values() for line in lines)
            except self.logs.exceptions.ResourceNotFoundException:
                return False

        return heard

    def tar(self, key: str) -> dict[str, str]:
        content = self.s3.get_object(Bucket="data", Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {m.name: f.read().decode() for m in tar.getmembers() if (f := tar.extractfile(m)) is not None}

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in found]

    def interrupt(self, name: str) -> None:
        request = urllib.request.Request(f"{self.url}/_localcloud/training-jobs/{name}/interrupt", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass


def s3_channel(name: str, uri: str, distribution: str = "FullyReplicated") -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()


def _of(instance: str) -> dict[str, Any]:
    return {"label": f"{LABEL}={instance}"}


def owned(instance: str) -> tuple[list[str], list[str]]:
    """(containers, networks) that the engine holds of an instance."""
    with engine() as client:
        containers = client.containers.list(all=True, filters=_of(instance), ignore_removed=True)
        networks = client.networks.list(filters=_of(instance))
        return [str(c.name) for c in containers], [str(n.name) for n in networks]


def internal_networks(instance: str) -> list[bool]:
    """Of each network, whether it has no way out."""
    with engine() as client:
        return [bool(network.attrs["Internal"]) for network in client.networks.list(filters=_of(instance))]


def docker_kill(instance: str) -> None:
    """SIGKILL to every container of an instance, as if from outside."""
    with engine() as client:
        for container in client.containers.list(filters=_of(instance)):
            container.kill()
