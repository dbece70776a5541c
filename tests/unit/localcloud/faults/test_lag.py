"""What is made is seen late by the operations of the table, in AWS's words, and by nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from typing import Any, NamedTuple

import pytest

from localcloud.faults.lag import Kind, Lag, Late
from localcloud.faults.late import KINDS
from localcloud.gateway import protocol
from localcloud.gateway.requests import AnyCall

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/p"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/kennel"
CHANNEL = {"DataSource": {"S3DataSource": {"S3Uri": "s3://pets/train/"}}}
TUNED = {"TrainingJobDefinition": {"RoleArn": ROLE, "InputDataConfig": [CHANNEL]}}
ASSUME = f"Could not assume role {ROLE}. Please ensure that the role exists and allows principal"
MODEL = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelDataUrl": "s3://pets/m.tar.gz"}}


def call(operation: str, params: Mapping[str, Any]) -> AnyCall:
    service, _, name = operation.partition(" ")
    return AnyCall(service=service, operation=name, params=params, access_key="AKID")


class World:
    """A Lag of ten seconds with a clock that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.lag = Lag(kinds=KINDS, seconds=10, now=lambda: self.time, account=ACCOUNT, region=REGION)

    def does(self, operation: str, params: Mapping[str, Any], status: int = 200) -> None:
        self.lag.answered(call(operation, params), status)

    def after(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def refusal(self, operation: str, params: Mapping[str, Any]) -> tuple[str, int | None, str] | None:
        error = self.lag.refuse(call(operation, params))
        return (error.code, error.status, error.message) if error else None


class Early(NamedTuple):
    """What is made, and a request that names it too early: AWS's code and status, and how its message begins."""

    made: str
    by: dict[str, Any]
    asked: str
    params: dict[str, Any]
    code: str
    status: int
    message: str


EARLY = [Early(*row) for row in (
    ("iam CreateRole", {"RoleName": "r"}, "iam PutRolePolicy", {"RoleName": "r"}, "NoSuchEntity", 404,
     "The role with name r cannot be found."),
    ("iam CreateRole", {"RoleName": "r"}, "iam AddRoleToInstanceProfile", {"RoleName": "r"}, "NoSuchEntity", 404,
     "The role with name r cannot be found."),
    ("iam CreateRole", {"RoleName": "r"}, "sagemaker CreateModel", MODEL, "ValidationException", 400, ASSUME),
    ("iam CreateRole", {"RoleName": "r"}, "sagemaker CreateTrainingJob", {"RoleArn": ROLE}, "ValidationException", 400,
     ASSUME),
    ("iam CreateRole", {"RoleName": "r"}, "sagemaker CreateHyperParameterTuningJob", TUNED, "ValidationException", 400,
     ASSUME),
    ("iam CreateRole", {"RoleName": "r"}, "sagemaker CreateNotebookInstance", {"RoleArn": ROLE}, "ValidationException",
     400, ASSUME),
    ("iam CreateRole", {"RoleName": "r"}, "lambda CreateFunction", {"Role": ROLE}, "InvalidParameterValueException",
     400, "The role defined for the function cannot be assumed by Lambda."),
    ("iam CreateInstanceProfile", {"InstanceProfileName": "p"}, "iam AddRoleToInstanceProfile",
     {"InstanceProfileName": "p", "RoleName": "old"}, "NoSuchEntity", 404, "Instance Profile p cannot be found."),
    ("iam CreateInstanceProfile", {"InstanceProfileName": "p"}, "ec2 RunInstances", {"IamInstanceProfile.Name": "p"},
     "InvalidParameterValue", 400,
     "Value (p) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"),
    ("iam CreateInstanceProfile", {"InstanceProfileName": "p"}, "ec2 RunInstances", {"IamInstanceProfile.Arn": PROFILE},
     "InvalidParameterValue", 400, f"Value ({PROFILE}) for parameter iamInstanceProfile.arn is invalid."),
    ("iam AddRoleToInstanceProfile", {"InstanceProfileName": "p"}, "ec2 RunInstances", {"IamInstanceProfile.Name": "p"},
     "InvalidParameterValue", 400, f'IAM Instance Profile "{PROFILE}" has no associated IAM Roles'),
    ("iam CreatePolicy", {"PolicyName": "kennel"}, "iam AttachRolePolicy", {"PolicyArn": POLICY, "RoleName": "old"},
     "NoSuchEntity", 404, f"Policy {POLICY} does not exist or is not attachable."),
    ("iam PutRolePolicy", {"RoleName": "r"}, "sagemaker CreateModel", MODEL, "ValidationException", 400,
     f'Could not access model data at s3://pets/m.tar.gz. Please ensure that the role "{ROLE}" exists'),
    ("iam AttachRolePolicy", {"RoleName": "r"}, "sagemaker CreateTrainingJob",
     {"RoleArn": ROLE, "InputDataConfig": [CHANNEL]}, "ValidationException", 400,
     'Unauthorized to List objects under S3 URL "s3://pets/train/"'),
    ("iam PutRolePolicy", {"RoleName": "r"}, "sagemaker CreateHyperParameterTuningJob", TUNED, "ValidationException",
     400, 'No S3 objects found under S3 URL "s3://pets/train/" given in input data source.'),
    ("s3 CreateBucket", {"Bucket": "b"}, "s3 PutBucketTagging", {"Bucket": "b"}, "NoSuchBucket", 404,
     "The specified bucket does not exist"),
    ("s3 CreateBucket", {"Bucket": "b"}, "s3 PutObject", {"Bucket": "b"}, "NoSuchBucket", 404,
     "The specified bucket does not exist"),
    ("logs CreateLogGroup", {"logGroupName": "/aws/lambda/f"}, "logs PutRetentionPolicy",
     {"logGroupName": "/aws/lambda/f"}, "ResourceNotFoundException", 400, "The specified log group does not exist."),
    ("logs CreateLogGroup", {"logGroupName": "/aws/lambda/f"}, "logs TagResource",
     {"resourceArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/f"}, "ResourceNotFoundException", 400,
     "The specified log group does not exist."),
    ("sagemaker CreateEndpointConfig", {"EndpointConfigName": "C"}, "sagemaker UpdateEndpoint",
     {"EndpointConfigName": "C"}, "ValidationException", 400,
     f'Could not find endpoint configuration "arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint-config/c".'),
)]  # fmt: skip


@pytest.mark.parametrize("early", EARLY, ids=[f"{each.made}: {each.asked}" for each in EARLY])
def test_what_is_new_is_refused_in_awss_words_until_it_is_seen(early: Early) -> None:
    world = World()
    assert world.refusal(early.asked, early.params) is None
    world.does(early.made, early.by)
    refused = world.refusal(early.asked, early.params)
    assert refused is not None
    assert refused[:2] == (early.code, early.status)
    assert refused[2].startswith(early.message)
    assert "{" not in refused[2]
    world.after(10)
    assert world.refusal(early.asked, early.params) is None


def test_every_line_of_the_table_is_tried_here() -> None:
    def is_tried(kind: Kind, late: Late) -> bool:
        asked = [each.asked for each in EARLY if each.made in kind.made_by]
        return any(fnmatch(each, pattern) for each in asked for pattern in late.operations)

    missing = [(kind.name, late.operations) for kind in KINDS for late in kind.late if not is_tried(kind, late)]
    assert missing == []


def test_every_operation_of_the_table_exists() -> None:
    for kind in KINDS:
        lines = [*kind.made_by, *kind.gone_by, *(each for late in kind.late for each in late.operations)]
        for service, _, operation in (line.partition(" ") for line in lines):
            known = protocol.model(service).operation_names
            assert any(fnmatch(name, operation) for name in known), operation


def test_every_line_has_a_source() -> None:
    assert [late for kind in KINDS for late in kind.late if not late.source] == []


def test_a_new_buckets_settings_are_in_conflict_once_the_bucket_is_seen() -> None:
    world = World()
    world.does("s3 CreateBucket", {"Bucket": "b"})
    codes = []
    for _ in range(5):
        refused = world.refusal("s3 PutPublicAccessBlock", {"Bucket": "b"})
        codes.append(refused and refused[0])
        world.after(2.5)
    assert codes == ["NoSuchBucket", "NoSuchBucket", "OperationAborted", "OperationAborted", None]


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("iam GetRole", {"RoleName": "r"}),
        ("iam ListRoleTags", {"RoleName": "r"}),
        ("iam DeleteRole", {"RoleName": "r"}),
        ("s3 HeadBucket", {"Bucket": "r"}),
        ("s3 GetBucketVersioning", {"Bucket": "r"}),
        ("logs DescribeLogGroups", {"logGroupNamePrefix": "r"}),
        ("sagemaker DescribeEndpointConfig", {"EndpointConfigName": "r"}),
        ("sagemaker CreateModel", {"ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"}),
    ],
)
def test_reads_and_other_resources_are_not_late(operation: str, params: dict[str, Any]) -> None:
    world = World()
    for kind in KINDS:
        for made, (name,) in kind.made_by.items():
            world.does(made, {name: "r"})
    assert world.refusal(operation, params) is None


def test_what_was_refused_was_not_made_and_what_is_deleted_is_forgotten() -> None:
    world = World()
    world.does("iam CreateRole", {"RoleName": "r"}, status=409)
    assert world.refusal("lambda CreateFunction", {"Role": ROLE}) is None
    world.does("iam CreateRole", {"RoleName": "r"})
    world.after(60)
    world.does("iam DeleteRole", {"RoleName": "r"})
    world.does("iam CreateRole", {"RoleName": "r"})
    assert world.refusal("lambda CreateFunction", {"Role": ROLE}) is not None


def test_a_changed_policy_does_not_make_a_known_role_unknown_again() -> None:
    world = World()
    world.does("iam PutRolePolicy", {"RoleName": "r"})
    world.after(10)
    world.does("iam PutRolePolicy", {"RoleName": "r"})
    assert world.refusal("sagemaker CreateModel", MODEL) is None


def test_a_model_without_data_needs_no_right_to_read_any() -> None:
    world = World()
    world.does("iam PutRolePolicy", {"RoleName": "r"})
    assert (
        world.refusal("sagemaker CreateModel", {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "i"}}) is None
    )
