"""A request as each host sees it (rules 1–18)."""

import json
from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.s3 import Location, S3Object, location
from localcloud.sagemaker import s3_input
from localcloud.sagemaker.training import request as plan
from tests.unit.localcloud.fakes import channel, training_request


def refusal(**changes: Any) -> str:
    with pytest.raises(ApiError) as caught:
        plan.check(training_request(**changes))
    assert caught.value.code == "ValidationException"
    return caught.value.message


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"TrainingImage": "i", "TrainingInputMode": "File"} | changes


def test_a_plain_request_passes() -> None:
    plan.check(training_request(InputDataConfig=[channel()]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AlgorithmSpecification": {"AlgorithmName": "a", "TrainingInputMode": "File"}}, "TrainingImage"),
        ({"AlgorithmSpecification": algorithm(ContainerArguments=["a"])}, "ContainerEntrypoint"),
        ({"AlgorithmSpecification": algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "("}])}, "Regex of loss"),
        ({"AlgorithmSpecification": algorithm(TrainingInputMode="Pipe"), "InputDataConfig": [channel()]}, "no Pipe"),
        ({"ResourceConfig": {"VolumeSizeInGB": 1}}, "InstanceGroups"),
        ({"OutputDataConfig": None}, "OutputDataConfig"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 28 * 86400 + 1}}, "28 days"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds must be present"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}}, "only when"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8},
            },
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"InputDataConfig": [channel("a"), channel("a")]}, "unique"),
        ({"InputDataConfig": [channel(S3DataType="AugmentedManifestFile")]}, "Pipe mode"),
        ({"InputDataConfig": [{"ChannelName": "a", "DataSource": {"FileSystemDataSource": {}}}]}, "file:///"),
    ],
)
def test_rules_between_members_are_held(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(**changes)


def test_hosts_are_numbered_from_one_and_listed_sorted() -> None:
    request = training_request(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 11, "VolumeSizeInGB": 1})
    hosts = plan.hosts(request)
    assert [host.name for host in hosts][:2] == ["algo-1", "algo-2"]
    resources = json.loads(plan.config_files(request, hosts[1])["resourceconfig.json"])
    assert resources["current_host"] == "algo-2"
    assert resources["hosts"] == sorted(host.name for host in hosts)
    assert resources["network_interface_name"] == "eth0"
    assert resources["current_instance_type"] == "ml.m5.large"


def test_instance_groups_are_told_with_their_hosts() -> None:
    groups = [
        {"InstanceGroupName": "big", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "small", "InstanceType": "ml.m5.large", "InstanceCount": 2},
    ]
    request = training_request(ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    resources = json.loads(plan.config_files(request, plan.hosts(request)[2])["resourceconfig.json"])
    assert resources["current_group_name"] == "small"
    assert [group["hosts"] for group in resources["instance_groups"]] == [["algo-1"], ["algo-2", "algo-3"]]


def test_channels_and_hyperparameters_reach_their_files_as_sagemaker_writes_them() -> None:
    given = channel() | {"ContentType": "application/x-image", "InputMode": "FastFile"}
    request = training_request(InputDataConfig=[given], HyperParameters={"epochs": "5", "model": '"resnet50"'})
    files = plan.config_files(request, plan.hosts(request)[0])
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
    request = training_request(Environment={"AWS_REGION": "eu-west-1", "A": "b"})
    found = plan.environment(request, arn="arn:x", region="us-east-1", container_url="http://gw:1", isolated=False)
    assert found["TRAINING_JOB_NAME"] == "job-1"
    assert found["TRAINING_JOB_ARN"] == "arn:x"
    assert found["AWS_ENDPOINT_URL"] == "http://gw:1"
    assert (found["AWS_REGION"], found["A"]) == ("eu-west-1", "b")


def test_an_isolated_job_is_given_no_way_to_aws() -> None:
    found = plan.environment(
        training_request(), arn="arn:x", region="us-east-1", container_url="http://gw:1", isolated=True
    )
    assert not [name for name in found if name.startswith("AWS_") and name != "AWS_REGION"]


def test_the_image_is_run_with_train_unless_the_request_gives_an_entrypoint() -> None:
    assert plan.command(training_request()) == ((), ("train",))
    own = training_request(
        AlgorithmSpecification=algorithm(ContainerEntrypoint=["python3", "x.py"], ContainerArguments=["--a", "1"])
    )
    assert plan.command(own) == (("python3", "x.py"), ("--a", "1"))


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("in/", "in/a/b.jpg", "a/b.jpg"),
        ("in", "in/a.jpg", "a.jpg"),
        ("in/data.zip", "in/data.zip", "data.zip"),
        ("in/tr", "in/train/a.jpg", "train/a.jpg"),
        ("", "a.jpg", "a.jpg"),
    ],
)
def test_keys_fall_into_the_channel_as_sagemaker_lays_them(prefix: str, key: str, path: str) -> None:
    assert s3_input.relative(prefix, key) == path


@pytest.mark.parametrize("key", ["in/../../etc/passwd", "in/"])
def test_a_key_that_would_leave_the_channel_is_refused(key: str) -> None:
    with pytest.raises(ApiError):
        s3_input.relative("in/", key)


def test_shards_share_the_keys_and_replicas_hold_them_all() -> None:
    found = [S3Object(key=f"in/{n}", size=1, etag="") for n in range(5)]
    sharded = plan.channels(training_request(InputDataConfig=[channel(S3DataDistributionType="ShardedByS3Key")]))[0]
    parts = [plan.assign(sharded, found, host, 2) for host in range(2)]
    assert not set(parts[0]) & set(parts[1])
    assert set(parts[0]) | set(parts[1]) == {entry.key for entry in found}
    whole = plan.channels(training_request(InputDataConfig=[channel()]))[0]
    assert plan.assign(whole, found, 1, 2) == {f"in/{n}": str(n) for n in range(5)}


def test_a_manifest_lists_keys_below_its_prefix() -> None:
    assert s3_input.manifest_keys(b'[{"prefix": "s3://b/p/"}, "x", "y/z"]', "c") == (
        Location(bucket="b", key="p/"),
        ["x", "y/z"],
    )
    for wrong in (b"{}", b"[]", b"x", b'[{"prefix": 1}]'):
        with pytest.raises(ApiError, match="manifest"):
            s3_input.manifest_keys(wrong, "c")


def test_s3_addresses_are_read_in_both_forms() -> None:
    assert location("s3://b/k/l") == location("https://s3.us-east-1.amazonaws.com/b/k/l")
    assert location("s3://b") == Location(bucket="b", key="")
    with pytest.raises(ValueError, match="not an S3 address"):
        location("b/k")


def test_the_failure_reason_keeps_the_text_and_the_code_within_1024_characters() -> None:
    assert plan.failure_reason("", 3) == "AlgorithmError: , exit code: 3"
    reason = plan.failure_reason("x" * 5000, 1)
    assert len(reason) == 1024
    assert reason.endswith("x, exit code: 1")
    assert "more memory" in plan.failure_reason("", 137, out_of_memory=True)


@pytest.mark.parametrize(
    ("kind", "gpus"),
    [("ml.m5.large", 0), ("ml.g5.xlarge", 1), ("ml.g5.12xlarge", 4), ("ml.g5.16xlarge", 1), ("ml.g5.48xlarge", 8),
     ("ml.p3.16xlarge", 8), ("ml.p4d.24xlarge", 8), ("ml.g4dn.16xlarge", 1), ("ml.c5.12xlarge", 0)],
)  # fmt: skip
def test_gpus_follow_from_the_instance_type(kind: str, gpus: int) -> None:
    assert plan.gpu_count(kind) == gpus


def test_metrics_keep_the_last_value_of_each_and_ignore_what_is_no_number() -> None:
    scanner = plan.MetricScanner(
        [{"Name": "loss", "Regex": "loss=(\\S+)"}, {"Name": "top1", "Regex": "top1=([0-9.]+)"}]
    )
    scanner.scan("epoch 1 loss=0.5 top1=0.1")
    scanner.scan("loss=nothing")
    assert scanner.scan("loss=0.25") == {"loss": 0.25}
    assert scanner.last == {"loss": 0.25, "top1": 0.1}
