"""Which rights a request needs: every resource by its real ARN, and nothing silently left out."""

from collections.abc import Mapping
from typing import Any

import pytest

from localcloud.authorization.needs import Need, relocated
from localcloud.authorization.operations import OPERATIONS
from localcloud.authorization.other_operations import EVERY, OTHERS


class Held:
    """An account with a default VPC, a tagged group, a profile with one role, and a bounded role."""

    linked: tuple[str, ...] = ()

    def profile_roles(self, profile: str) -> list[str]:
        return [f"role-of-{profile}"]

    def subnets(self, chosen: str | None) -> list[str]:
        return [chosen or "subnet-default"]

    def security_groups(self, chosen: list[str]) -> list[str]:
        return chosen or ["sg-default"]

    def vpc(self, chosen: str | None) -> str:
        return chosen or "vpc-default"

    def tags(self, arn: str) -> Mapping[str, str]:
        return {"team": "dogs"} if arn.endswith(("security-group/sg-1", "instance/i-1")) else {}

    def boundary(self, role: str) -> str | None:
        return "arn:aws:iam::123456789012:policy/bounds" if role == "bounded" else None

    def has_linked_role(self, arn: str) -> bool:
        return arn.rpartition("/")[2] in self.linked


def needs(operation: str, held: Held | None = None, **params: Any) -> list[str]:
    return [str(each).replace("arn:aws:", "") for each in EVERY[operation](params, held or Held())]


EC2 = "ec2:us-east-1:123456789012"


def test_an_instance_needs_a_right_on_each_thing_that_it_is_made_of() -> None:
    found = needs(
        "ec2.RunInstances", ImageId="ami-1", SecurityGroupIds=["sg-1"], IamInstanceProfile={"Name": "p"}, KeyName="k"
    )
    assert found == [
        f"ec2:RunInstances on {EC2}:instance/*",
        f"ec2:RunInstances on {EC2}:volume/*",
        "ec2:RunInstances on ec2:us-east-1::image/ami-1",
        f"ec2:RunInstances on {EC2}:network-interface/*",
        f"ec2:RunInstances on {EC2}:subnet/subnet-default",
        f"ec2:RunInstances on {EC2}:key-pair/k",
        f"ec2:RunInstances on {EC2}:security-group/sg-1 with {{'aws:ResourceTag/team': 'dogs'}}",
        "iam:PassRole on iam::123456789012:role/role-of-p with {'iam:PassedToService': 'ec2.amazonaws.com'}",
    ]


def test_networks_of_an_interface_count_like_those_of_the_request() -> None:
    interface = {"SubnetId": "subnet-9", "Groups": ["sg-9"]}
    found = needs("ec2.RunInstances", ImageId="ami-1", NetworkInterfaces=[interface])
    assert {f"ec2:RunInstances on {EC2}:{each}" for each in ("subnet/subnet-9", "security-group/sg-9")} <= {*found}


def test_a_service_makes_its_role_once() -> None:
    target = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v"}
    linked = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    held = Held()
    assert any(linked in each for each in needs("application-autoscaling.RegisterScalableTarget", held, **target))
    held.linked = (linked,)
    assert not any(linked in each for each in needs("application-autoscaling.RegisterScalableTarget", held, **target))


def test_repositories_without_names_are_all_repositories() -> None:
    everything = "ecr:DescribeRepositories on ecr:us-east-1:123456789012:repository/*"
    assert needs("ecr.DescribeRepositories") == [everything]
    assert needs("ecr.DescribeRepositories", repositoryNames=["a/b"]) == [everything.replace("*", "a/b")]


def test_a_role_is_changed_under_the_boundary_that_it_has() -> None:
    bounded = "with {'iam:PermissionsBoundary': 'arn:aws:iam::123456789012:policy/bounds'}"
    assert needs("iam.PutRolePolicy", RoleName="bounded")[0].endswith(bounded.replace("arn:aws:", ""))
    assert needs("iam.PutRolePolicy", RoleName="free") == ["iam:PutRolePolicy on iam::123456789012:role/free"]


@pytest.mark.parametrize("name", ["f", "function:f", "arn:aws:lambda:us-east-1:123456789012:function:f"])
def test_a_function_by_name_or_arn_is_one_resource(name: str) -> None:
    whole = "lambda:InvokeFunction on lambda:us-east-1:123456789012:function:f"
    assert needs("lambda.Invoke", FunctionName=name) == [whole]
    assert needs("lambda.Invoke", FunctionName=name, Qualifier="live") == [f"{whole}:live"]


def test_a_copy_reads_its_source_and_writes_its_target() -> None:
    found = needs("s3.CopyObject", Bucket="b", Key="k", CopySource="/other/x%20y?versionId=1")
    assert found == ["s3:GetObject on s3:::other/x y", "s3:PutObject on s3:::b/k"]


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateHyperParameterTuningJob", {"TrainingJobDefinitions": [{"RoleArn": "arn:r"}]}),
        ("UpdateNotebookInstance", {"NotebookInstanceName": "n", "RoleArn": "arn:r"}),
    ],
)
def test_whoever_gives_a_role_must_be_allowed_to_pass_it(operation: str, params: dict[str, Any]) -> None:
    assert any(need.startswith("iam:PassRole on arn:r") for need in needs(f"sagemaker.{operation}", **params))


def test_a_need_moves_to_the_callers_account_and_region_and_sagemakers_names_are_lower_case() -> None:
    need = Need(action="sagemaker:InvokeEndpoint", resource="arn:aws:sagemaker:us-east-1:123456789012:endpoint/Dogs")
    moved = relocated(need, account="111122223333", region="eu-west-1")
    assert moved.resource == "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/dogs"


def test_no_operation_is_in_both_tables() -> None:
    assert OPERATIONS.keys() & OTHERS.keys() == set()
    assert OPERATIONS.keys() | OTHERS.keys() == EVERY.keys()
