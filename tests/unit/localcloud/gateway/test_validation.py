"""localcloud refuses the parameters that AWS refuses, in AWS's words."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.gateway.validation import validate
from tests.unit.localcloud.fakes import channel, training_request


def refusal(**changes: Any) -> str:
    with pytest.raises(ApiError) as caught:
        validate("sagemaker", "CreateTrainingJob", training_request(**changes))
    assert caught.value.code == "ValidationException"
    assert caught.value.status == 400
    return caught.value.message


def test_a_valid_request_passes() -> None:
    validate("sagemaker", "CreateTrainingJob", training_request(InputDataConfig=[channel()]))


RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


@pytest.mark.parametrize(
    ("changes", "where", "rule"),
    [
        ({"TrainingJobName": "a" * 64}, "trainingJobName", "Member must have length less than or equal to 63"),
        ({"TrainingJobName": "a_b"}, "trainingJobName", "Member must satisfy regular expression pattern: [a-zA-Z0-9]"),
        ({"RoleArn": None}, "roleArn", "Member must not be null"),
        ({"RoleArn": "train"}, "roleArn", "Member must satisfy regular expression pattern: arn:aws"),
        (
            {"ResourceConfig": RESOURCES | {"InstanceType": "ml.fast.large"}},
            "resourceConfig.instanceType",
            "Member must satisfy enum value set: [ml.",
        ),
        (
            {"ResourceConfig": RESOURCES | {"InstanceCount": -1}},
            "resourceConfig.instanceCount",
            "Member must have value greater than or equal to 0",
        ),
        (
            {"ResourceConfig": RESOURCES | {"InstanceCount": "1"}},
            "resourceConfig.instanceCount",
            "Member must be a integer",
        ),
        ({"HyperParameters": {"a": 1}}, "hyperParameters.a.value", "Member must be a string"),
        ({"InputDataConfig": [channel("a b")]}, "inputDataConfig.1.member.channelName", "Member must satisfy regular"),
        (
            {"InputDataConfig": [channel(uri="ftp://x")]},
            "inputDataConfig.1.member.dataSource.s3DataSource.s3Uri",
            "Member must satisfy regular",
        ),
        ({"Colour": "red"}, "colour", "Unknown member"),
    ],
)
def test_a_value_that_the_model_forbids_is_refused_with_its_path(
    changes: dict[str, Any], where: str, rule: str
) -> None:
    message = refusal(**changes)
    assert "validation error" in message
    assert f"at '{where}' failed to satisfy constraint: {rule}" in message


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"HyperParameters": {"a": "b" * 2501}},
            "Map value must satisfy constraint: [Member must have length less than or equal to 2500, Member must have "
            "length greater than or equal to 0, Member must satisfy regular expression pattern: .*, Member must not be "
            "null]",
        ),
        (
            {"Environment": {"1A": "x", "B": "y"}},
            "Value '{1A=x, B=y}' at 'environment' failed to satisfy constraint: Map keys must satisfy constraint: "
            "[Member must have length less than or equal to 512, Member must have length greater than or equal to 0, "
            "Member must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*]",
        ),
        (
            {"VpcConfig": {"SecurityGroupIds": ["sg-1", "sg!"], "Subnets": ["a"]}},
            "Value '[sg-1, sg!]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member must satisfy "
            "constraint: [Member must have length less than or equal to 32, Member must have length greater than or "
            "equal to 0, Member must satisfy regular expression pattern: [-0-9a-zA-Z]+, Member must not be null]",
        ),
    ],
)
def test_a_list_or_map_of_scalars_has_one_fault_that_names_all_that_its_members_must_satisfy(
    changes: dict[str, Any], fault: str
) -> None:
    """The form as recorded for Lambda: localstack/localstack, tests/aws/services/lambda_/test_lambda_api.snapshot.json,
    test_notfound_and_invalid_routingconfigs and test_create_lambda_exceptions."""
    message = refusal(**changes)
    assert message.startswith("1 validation error detected: Value '")
    assert message.endswith(fault)


def test_lists_and_maps_are_printed_as_java_prints_them() -> None:
    with pytest.raises(ApiError, match=r"Value '\[x86_64, arm64\]' at 'architectures'"):
        validate("lambda", "UpdateFunctionCode", {"FunctionName": "f", "Architectures": ["x86_64", "arm64"]})
    with pytest.raises(ApiError, match=r"Value '\[\{Key=a, Value=b\}, \{Key=c, Value=true\}"):
        validate("sagemaker", "CreateTrainingJob", training_request(Tags=tagged("b", True, *range(49))))


def tagged(*values: Any) -> list[dict[str, Any]]:
    return [{"Key": "ac"[min(place, 1)], "Value": value} for place, value in enumerate(values)]


def test_one_error_lists_every_fault() -> None:
    message = refusal(TrainingJobName="-", RoleArn=None, HyperParameters={str(n): "" for n in range(101)})
    assert message.startswith("3 validation errors detected: ")


def test_a_channel_may_be_a_folder_of_this_machine() -> None:
    validate("sagemaker", "CreateTrainingJob", training_request(InputDataConfig=[channel(uri="file:///data")]))


def test_the_runtime_names_its_error_differently() -> None:
    with pytest.raises(ApiError) as caught:
        validate("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e" * 64, "Body": b""})
    assert caught.value.code == "ValidationError"


def test_java_character_classes_in_patterns_are_understood() -> None:
    tags = [{"Key": "ключ/ä b", "Value": "x"}]
    validate("sagemaker", "CreateTrainingJob", training_request(Tags=tags))
    assert "tags.1.member.key" in refusal(Tags=[{"Key": "a\x00b", "Value": "x"}])


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        (
            "CreateRepository",
            {"repositoryName": "Big"},
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
            r"'[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*''",
        ),
        (
            "CreateRepository",
            {"repositoryName": "a"},
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must have length greater than or "
            "equal to 2'",
        ),
        (
            "CreateRepository",
            {"repositoryName": "ab", "imageTagMutability": "SOMETIMES"},
            "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value "
            "set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'",
        ),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": []},
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or "
            "equal to 1'",
        ),
    ],
)
def test_ecr_tells_the_first_fault_in_a_dialect_of_its_own(
    operation: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        validate("ecr", operation, params)
    assert (caught.value.code, caught.value.message) == ("InvalidParameterException", message)
