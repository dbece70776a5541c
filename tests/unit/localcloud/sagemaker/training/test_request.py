"""CreateTrainingJob: what is refused, the defaults, and S3 keys as files."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.s3 import Location, location
from localcloud.sagemaker import s3_input
from localcloud.sagemaker.training.request import parse
from tests.unit.localcloud.fakes import channel, training_request


def refusal(**changes: Any) -> str:
    with pytest.raises(ApiError) as caught:
        parse(training_request(**changes))
    assert caught.value.code == "ValidationException"
    return caught.value.message


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"TrainingImage": "i", "TrainingInputMode": "File"} | changes


def test_a_plain_request_passes() -> None:
    parse(training_request(InputDataConfig=[channel()]))


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_rules_between_members_are_held(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(**changes)


def test_the_image_is_run_with_train_unless_the_request_gives_an_entrypoint() -> None:
    usual = parse(training_request())
    assert (usual.entrypoint, usual.command) == ((), ("train",))
    own = parse(
        training_request(
            AlgorithmSpecification=algorithm(ContainerEntrypoint=["python3", "x.py"], ContainerArguments=["--a", "1"])
        )
    )
    assert (own.entrypoint, own.command) == (("python3", "x.py"), ("--a", "1"))


def test_what_a_request_leaves_out_has_sagemakers_defaults() -> None:
    request = parse(training_request(StoppingCondition={}, CheckpointConfig={"S3Uri": "s3://data/ck"}))
    assert (request.limits.runtime, request.limits.wait) == (86_400, None)
    assert request.checkpoints is not None
    assert request.checkpoints.path == "/opt/ml/checkpoints"
    assert request.output.compress
    assert request.artifacts == "s3://data/out/job-1/output/model.tar.gz"
    assert (request.spot, request.isolated) == (False, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"OutputDataConfig": {"S3OutputPath": "data/out"}},
        {"CheckpointConfig": {"S3Uri": "data/ck"}},
        {"InputDataConfig": [channel(uri="data/in")]},
    ],
)
def test_every_s3_address_must_be_one(changes: dict[str, Any]) -> None:
    assert "not an S3 address" in refusal(**changes)


def test_nothing_that_happens_to_the_callers_mapping_later_changes_the_request() -> None:
    hyperparameters = {"epochs": "5"}
    request = parse(training_request(HyperParameters=hyperparameters))
    hyperparameters["epochs"] = "6"
    assert request.hyperparameters == {"epochs": "5"}


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
