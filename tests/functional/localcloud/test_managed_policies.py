"""The policies that AWS manages can be read and attached, as in a real account, and are not the account's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.config import default_user_config
from moto.iam.models import iam_backends

from localcloud.aws_client import client
from localcloud.gateway.server import Application, Listener, bind
from localcloud.iam import know_managed_policies

ATTACHED = (
    "AmazonSageMakerFullAccess", "AmazonEC2ContainerRegistryReadOnly", "CloudWatchLogsFullAccess",
    "service-role/AWSLambdaBasicExecutionRole",
)  # fmt: skip


@pytest.fixture
def iam() -> Iterator[Any]:
    before = default_user_config["iam"]
    know_managed_policies()
    iam_backends["123456789012"]["aws"].reset()  # other tests of this process may have made it already
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([], region="us-east-1", health=dict))
    listener.start()
    yield client("iam", f"http://127.0.0.1:{sockets[0].getsockname()[1]}", "us-east-1")
    listener.stop()
    default_user_config["iam"] = before
    iam_backends["123456789012"]["aws"].reset()


def test_a_managed_policy_can_be_attached_and_read(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    for name in ATTACHED:
        arn = f"arn:aws:iam::aws:policy/{name}"
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        assert document["Statement"]
    listed = iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert {each["PolicyArn"] for each in listed} == {f"arn:aws:iam::aws:policy/{name}" for name in ATTACHED}


def test_managed_policies_are_not_the_accounts_own(iam: Any) -> None:
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_policies(Scope="AWS", MaxItems=5)["IsTruncated"]
