"""A host's container: where its folders appear, its config files and its environment (rules 1 to 18)."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws_client import Credentials
from localcloud.containers.engine import ContainerSpec, Mount
from localcloud.sagemaker.training.container import config_files, container_spec, environment, gpu_count
from localcloud.sagemaker.training.request import parse
from tests.unit.localcloud.fakes import channel, training_request


def spec(**changes: Any) -> ContainerSpec:
    request = parse(training_request(**changes))
    return container_spec(
        request, request.hosts[0], Path("/w/algo-1"), image=request.image,
        name="n", network="net", environment={"A": "b"}, cpus=None, gpus=0,
    )  # fmt: skip


def test_the_whole_tree_is_mounted_and_the_image_is_told_to_train() -> None:
    made = spec(InputDataConfig=[channel()])
    assert made.mounts == (Mount(source="/w/algo-1", target="/opt/ml"),)
    assert (made.command, made.hostname, made.network) == (("train",), "algo-1", "net")
    assert made.shm_size is None


def test_checkpoints_elsewhere_get_a_mount_of_their_own() -> None:
    made = spec(CheckpointConfig={"S3Uri": "s3://data/ck", "LocalPath": "/ck"})
    assert Mount(source="/w/algo-1/checkpoints", target="/ck") in made.mounts
    usual = spec(CheckpointConfig={"S3Uri": "s3://data/ck", "LocalPath": "/opt/ml/checkpoints/"})
    assert len(usual.mounts) == 1


def test_hosts_are_numbered_from_one_and_listed_sorted() -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 11, "VolumeSizeInGB": 1}
    request = parse(training_request(ResourceConfig=resources))
    hosts = request.hosts
    assert [host.name for host in hosts][:2] == ["algo-1", "algo-2"]
    config = json.loads(config_files(request, hosts[1])["resourceconfig.json"])
    assert config["current_host"] == "algo-2"
    assert config["hosts"] == sorted(host.name for host in hosts)
    assert config["network_interface_name"] == "eth0"
    assert config["current_instance_type"] == "ml.m5.large"


def test_instance_groups_are_told_with_their_hosts() -> None:
    groups = [
        {"InstanceGroupName": "big", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 2},
    ]
    request = parse(training_request(ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1}))
    resources = json.loads(config_files(request, request.hosts[2])["resourceconfig.json"])
    assert resources["current_group_name"] == "small"
    assert [group["hosts"] for group in resources["instance_groups"]] == [["algo-1"], ["algo-2", "algo-3"]]


def test_channels_and_hyperparameters_reach_their_files_as_sagemaker_writes_them() -> None:
    given = channel() | {"ContentType": "application/x-image", "InputMode": "FastFile"}
    request = parse(training_request(InputDataConfig=[given], HyperParameters={"epochs": "5", "model": '"resnet50"'}))
    files = config_files(request, request.hosts[0])
    assert json.loads(files["hyperparameters.json"]) == {"epochs": "5", "model": '"resnet50"'}
    assert json.loads(files["inputdataconfig.json"]) == {
        "train": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "application/x-image",
        }
    }


def test_the_environment_holds_the_job_and_the_requests_own_wins() -> None:
    request = parse(training_request(Environment={"AWS_REGION": "eu-west-1", "A": "b"}))
    variables = environment(request, arn="arn:x", region="us-east-1", container_url="http://gw:1")
    assert variables["TRAINING_JOB_NAME"] == "job-1"
    assert variables["TRAINING_JOB_ARN"] == "arn:x"
    assert variables["AWS_ENDPOINT_URL"] == "http://gw:1"
    assert (variables["AWS_REGION"], variables["A"]) == ("eu-west-1", "b")


def test_the_environment_holds_the_credentials_of_the_jobs_role() -> None:
    credentials = Credentials(key="ASIAROLE", secret="secret", token="token")
    variables = environment(
        parse(training_request()), arn="arn:x", region="us-east-1", container_url="http://gw:1", credentials=credentials
    )
    assert {name: variables[name] for name in credentials.environment} == {
        "AWS_ACCESS_KEY_ID": "ASIAROLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"
    }  # fmt: skip


def test_an_isolated_job_is_given_no_way_to_aws() -> None:
    request = parse(training_request(EnableNetworkIsolation=True))
    variables = environment(request, arn="arn:x", region="us-east-1", container_url="http://gw:1")
    assert not [name for name in variables if name.startswith("AWS_") and name != "AWS_REGION"]


@pytest.mark.parametrize(
    ("instance_type", "gpus"),
    [("ml.m5.large", 0), ("ml.g5.xlarge", 1), ("ml.g5.12xlarge", 4), ("ml.g5.16xlarge", 1), ("ml.g5.48xlarge", 8),
     ("ml.p3.16xlarge", 8), ("ml.p4d.24xlarge", 8), ("ml.g4dn.16xlarge", 1), ("ml.c5.12xlarge", 0)],
)  # fmt: skip
def test_gpus_follow_from_the_instance_type(instance_type: str, gpus: int) -> None:
    assert gpu_count(instance_type) == gpus
