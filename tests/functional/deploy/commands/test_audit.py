"""The review of an account, over HTTP: each fault is found once, and an account without them has none of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from moto.server import ThreadedMotoServer

from deploy.audit.finding import is_severe
from deploy.commands.audit import audit
from deploy.config.settings import choose, parse
from deploy.console import Screen
from deploy.session import Session
from deploy.values import Request
from tests.clients import connect

TOML = Path(__file__).parents[4] / "deploy.toml"
ROOT = "account/root"  # of moto's root user nothing can be changed
TRUST = {"Version": "2012-10-17", "Statement": []}
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
BUCKETS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class Account:
    """An account of moto's to spoil, and a session with it."""

    def __init__(self, url: str) -> None:
        chosen = choose(parse(TOML.read_text()), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": url})
        self.settings = chosen.model_copy(update={"stage": stage})
        self.session = Session(
            settings=self.settings, call=connect(self.settings), build=str, screen=Screen(out=io.StringIO())
        )

    def ask(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.session.call(Request(service=service, operation=operation, params=params))

    def findings(self, *, days: int = 0) -> list[tuple[str, str, str]]:
        """Severity, what and finding, some days from now."""
        now = datetime.now(UTC) + timedelta(days=days)
        rows = audit(self.session, now=now)
        return [(each.severity, each.what, each.finding) for each in rows if each.what != ROOT]


@pytest.fixture
def account() -> Iterator[Account]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=5)  # moto keeps its records in the process
    try:
        yield Account(f"http://{host}:{port}")
    finally:
        requests.post(f"http://{host}:{port}/moto-api/reset", timeout=5)
        server.stop()


def test_an_account_without_faults_has_no_finding_but_for_its_root_user(account: Account) -> None:
    account.ask("iam", "CreateRole", RoleName="fresh", AssumeRolePolicyDocument=json.dumps(TRUST))
    account.ask("iam", "CreateUser", UserName="without-password")
    account.ask("s3", "CreateBucket", Bucket="closed")
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    account.ask("s3", "PutPublicAccessBlock", Bucket="closed", PublicAccessBlockConfiguration=block)
    assert account.findings() == []
    assert [each.what for each in audit(account.session)] == [ROOT]


def test_each_fault_is_found_once_and_the_worst_comes_first(account: Account) -> None:
    spoil(account)
    findings = account.findings()
    assert [severity for severity, _, _ in findings] == [
        "critical",
        "critical",
        "high",
        "high",
        "high",
        "medium",
        "low",
    ]
    assert {what: finding for _, what, finding in findings} == {
        "bucket/open": "public access is not blocked: "
        "BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets",
        "endpoint/kennel-local": "variant main does not scale",
        "group/team": "everything-of-s3 allows s3:* on everything",
        "role/god": "inline allows everything",
        f"security-group/{group_id(account)}": "door: port 22 is open to 0.0.0.0/0",
        "user/somebody": "has a password and no MFA",
    }
    assert ("critical", "bucket/open", "its ACL grants everybody READ") in findings
    assert is_severe(audit(account.session))


def test_what_ages_is_found_when_it_is_old(account: Account) -> None:
    spoil(account)
    account.ask("iam", "CreateAccessKey", UserName="somebody")
    late = {what: finding for severity, what, finding in account.findings(days=100) if severity == "medium"}
    assert late["role/god"] == "never used in the 100 days since it was created"
    assert late["user/somebody"].endswith("is never used")
    assert late["endpoint/kennel-local"] == "variant main got no request in a day, and is billed"


def test_more_buckets_and_users_than_one_page_are_all_looked_at(account: Account) -> None:
    for number in range(120):
        account.ask("iam", "CreateUser", UserName=f"user-{number:03}")
    account.ask("iam", "CreateLoginProfile", UserName="user-119", Password="long-and-Random-7")
    assert account.findings() == [("high", "user/user-119", "has a password and no MFA")]


def spoil(account: Account) -> None:
    ask = account.ask
    ask("iam", "CreateRole", RoleName="god", AssumeRolePolicyDocument=json.dumps(TRUST))
    ask("iam", "PutRolePolicy", RoleName="god", PolicyName="inline", PolicyDocument=json.dumps(ALL))
    made = ask("iam", "CreatePolicy", PolicyName="everything-of-s3", PolicyDocument=json.dumps(BUCKETS))
    ask("iam", "CreateGroup", GroupName="team")
    ask("iam", "AttachGroupPolicy", GroupName="team", PolicyArn=made["Policy"]["Arn"])
    ask("iam", "CreateUser", UserName="somebody")
    ask("iam", "CreateLoginProfile", UserName="somebody", Password="long-and-Random-7")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    group = ask("ec2", "CreateSecurityGroup", GroupName="door", Description="open")["GroupId"]
    ask("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[rule])
    ask("s3", "CreateBucket", Bucket="open")
    ask("s3", "PutBucketAcl", Bucket="open", ACL="public-read")
    variant = {"VariantName": "main", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    container = {"Image": "kennel/serve:1", "ModelDataUrl": "s3://open/model.tar.gz"}
    role = account.settings.arn("iam", "role/god")
    ask("sagemaker", "CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=role)
    ask("sagemaker", "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant])
    ask("sagemaker", "CreateEndpoint", EndpointName="kennel-local", EndpointConfigName="c")


def group_id(account: Account) -> str:
    groups = account.ask("ec2", "DescribeSecurityGroups")["SecurityGroups"]
    return str(next(group["GroupId"] for group in groups if group["GroupName"] == "door"))
