"""boto3 meets lag and throttling: AWS's own errors at first, then the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.aws_client import client as own_client
from localcloud.faults.lag import Lag
from localcloud.faults.late import KINDS
from localcloud.faults.throttle import Throttle
from localcloud.gateway.requests import Gate
from localcloud.gateway.server import Application, Listener, bind

ACCOUNT, REGION = "123456789012", "us-east-1"
ALL = Throttle(share=1.0)
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pets/*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def running(*gates: Gate) -> Iterator[str]:
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([], region=REGION, health=dict, gates=gates))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        yield url
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=5)
        listener.stop()


def client(service: str, url: str, attempts: int = 1) -> Any:
    session: Any = boto3.Session(region_name=REGION, aws_access_key_id="AKID", aws_secret_access_key="none")
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, s3={"addressing_style": "path"})
    return session.client(service, endpoint_url=url, config=config)


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return str(answer["Error"]["Code"]), int(answer["ResponseMetadata"]["HTTPStatusCode"])


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def late(time: Time) -> Iterator[str]:
    with running(Lag(kinds=KINDS, seconds=10, now=time, account=ACCOUNT, region=REGION)) as url:
        yield url


def test_a_new_role_its_policy_and_its_profile_are_seen_one_after_the_other(late: str, time: Time) -> None:
    iam, ec2 = client("iam", late), client("ec2", late)
    policy = {"RoleName": "r", "PolicyName": "p", "PolicyDocument": POLICY}
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="i")
    assert iam.get_role(RoleName="r")["Role"]["RoleName"] == "r"
    assert refused(iam.put_role_policy, **policy) == ("NoSuchEntity", 404)
    assert refused(iam.add_role_to_instance_profile, InstanceProfileName="i", RoleName="r") == ("NoSuchEntity", 404)
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []  # what is refused changes nothing
    time.now += timedelta(seconds=10)
    iam.put_role_policy(**policy)
    iam.add_role_to_instance_profile(InstanceProfileName="i", RoleName="r")
    with pytest.raises(ClientError, match=r'Profile "arn:aws:iam::\d+:instance-profile/i" has no associated IAM Roles'):
        ec2.run_instances(MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "i"})
    time.now += timedelta(seconds=10)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    started = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "i"})
    assert len(started["Instances"]) == 1


def test_a_new_buckets_settings_and_a_new_log_groups_retention_are_refused_at_first(late: str, time: Time) -> None:
    s3, logs = client("s3", late), client("logs", late)
    versioned = {"Bucket": "kennel-new", "VersioningConfiguration": {"Status": "Enabled"}}
    s3.create_bucket(Bucket="kennel-new")
    s3.head_bucket(Bucket="kennel-new")
    logs.create_log_group(logGroupName="/kennel/new")
    assert refused(s3.put_bucket_versioning, **versioned) == ("NoSuchBucket", 404)
    retention = {"logGroupName": "/kennel/new", "retentionInDays": 30}
    assert refused(logs.put_retention_policy, **retention) == ("ResourceNotFoundException", 400)
    time.now += timedelta(seconds=6)
    assert refused(s3.put_bucket_versioning, **versioned) == ("OperationAborted", 409)
    time.now += timedelta(seconds=4)
    s3.put_bucket_versioning(**versioned)
    logs.put_retention_policy(**retention)
    assert s3.get_bucket_versioning(Bucket="kennel-new")["Status"] == "Enabled"


@pytest.mark.parametrize(
    ("service", "operation", "answer"),
    [
        ("s3", "list_buckets", ("SlowDown", 503)),
        ("ec2", "describe_instances", ("RequestLimitExceeded", 503)),
        ("lambda", "list_functions", ("TooManyRequestsException", 429)),
        ("iam", "list_roles", ("Throttling", 400)),
        ("sts", "get_caller_identity", ("Throttling", 400)),
        ("cloudwatch", "describe_alarms", ("Throttling", 400)),
        ("logs", "describe_log_groups", ("ThrottlingException", 400)),
        ("sagemaker", "list_models", ("ThrottlingException", 400)),
        ("ecr", "describe_repositories", ("ThrottlingException", 400)),
    ],
)
def test_each_service_throttles_in_its_own_words(service: str, operation: str, answer: tuple[str, int]) -> None:
    with running(ALL) as url:
        assert refused(getattr(client(service, url), operation)) == answer


def test_a_body_that_is_refused_leaves_the_connection_usable() -> None:
    with running(ALL) as url:
        s3 = client("s3", url)
        for _ in range(3):
            assert refused(s3.put_object, Bucket="b", Key="k", Body=b"x" * 1_000_000) == ("SlowDown", 503)


def test_localclouds_own_client_is_never_throttled() -> None:
    with running(ALL) as url:
        assert own_client("s3", url, REGION).list_buckets()["Buckets"] == []
        assert requests.get(f"{url}/_localcloud/health", timeout=5).status_code == 200


def test_botocores_own_retries_outlast_one_request_in_twenty() -> None:
    with running(Throttle(share=0.05, seed=7)) as url:
        sagemaker = client("sagemaker", url, attempts=5)
        assert [sagemaker.list_models()["Models"] for _ in range(60)] == [[]] * 60
