"""AWS does not know a new role everywhere at once: the client retries until it does, and retries no other refusal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.aws.client import Client
from deploy.aws.retries import PASSING_S
from deploy.config.settings import Settings, choose, parse
from deploy.errors import AwsError
from deploy.values import Request
from localcloud.cloud import Cloud
from localcloud.faults.lag import Lag
from localcloud.faults.late import KINDS
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from localcloud.iam import MotoRoles
from localcloud.sagemaker.hosting.configs import Catalogue
from tests.clients import connect
from tests.unit.deploy.conftest import TOML
from tests.unit.deploy.fakes import FakeTime
from tests.unit.localcloud import fakes

DELAY_S = 1.2
ACCOUNT = "123456789012"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[str]:
    """SageMaker's models over HTTP, where a new role is unknown for a while."""
    cloud: Cloud = replace(fakes.cloud(tmp_path), roles=MotoRoles(account=ACCOUNT))
    service = Service(name="sagemaker", handlers=Catalogue(cloud=cloud).handlers())
    lag = Lag(kinds=KINDS, seconds=DELAY_S, now=lambda: datetime.now(UTC), account=cloud.account, region=cloud.region)
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([service], region="us-east-1", health=dict, gates=[lag]))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        yield url
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=5)
        listener.stop()


def client(url: str, sent: list[str], **chosen: Any) -> Client:
    settings: Settings = choose(parse(TOML.read_text()), "local")
    stage = settings.stage.model_copy(update={"endpoint_url": url})
    made = connect(settings.model_copy(update={"stage": stage}), log=lambda request: sent.append(request.operation))
    for name, value in chosen.items():
        setattr(made, name, value)
    return made


def make_role(ask: Client, trust: dict[str, Any]) -> str:
    params = {"RoleName": "new", "AssumeRolePolicyDocument": json.dumps(trust)}
    return str(ask(Request(service="iam", operation="CreateRole", params=params))["Role"]["Arn"])


def create_model(role: str) -> Request:
    params = {"ModelName": "m", "ExecutionRoleArn": role, "PrimaryContainer": {"Image": fakes.IMAGE}}
    return Request(service="sagemaker", operation="CreateModel", params=params)


def test_a_request_with_a_new_role_is_retried_until_the_role_is_known(aws: str) -> None:
    sent: list[str] = []
    ask = client(aws, sent)
    role = make_role(ask, TRUST)
    began = time.monotonic()
    assert ask(create_model(role))["ModelArn"].endswith(":model/m")
    assert DELAY_S - 0.5 < time.monotonic() - began < 10
    assert sent == ["CreateRole", "CreateModel"]  # one request for people, however often it was tried


def test_a_role_that_stays_unknown_raises_awss_message_after_the_last_retry(aws: str) -> None:
    jumping = FakeTime()
    ask = client(aws, [], clock=jumping.clock())
    with pytest.raises(AwsError, match="Could not assume role arn:aws:iam::123456789012:role/nobody"):
        ask(create_model("arn:aws:iam::123456789012:role/nobody"))
    assert 60 < sum(jumping.slept) <= PASSING_S


def test_a_role_that_trusts_another_service_is_never_known_to_sagemaker(aws: str) -> None:
    jumping = FakeTime()
    ask = client(aws, [], clock=jumping.clock())
    statement = {**TRUST["Statement"][0], "Principal": {"Service": "lambda.amazonaws.com"}}  # type: ignore[dict-item]
    role = make_role(ask, {**TRUST, "Statement": [statement]})
    with pytest.raises(AwsError, match=r"allows principal 'sagemaker\.amazonaws\.com' to assume the role"):
        ask(create_model(role))


def test_ec2_knows_an_instance_profile_when_its_role_is_there(aws: str) -> None:
    ask = client(aws, [])
    statement = {**TRUST["Statement"][0], "Principal": {"Service": "ec2.amazonaws.com"}}  # type: ignore[dict-item]

    roles = MotoRoles(account=ACCOUNT)
    assert not roles.has_profile("p")
    ask(Request(service="iam", operation="CreateInstanceProfile", params={"InstanceProfileName": "p"}))
    assert not roles.has_profile("p")
    make_role(ask, {**TRUST, "Statement": [statement]})
    time.sleep(DELAY_S)
    params = {"InstanceProfileName": "p", "RoleName": "new"}
    ask(Request(service="iam", operation="AddRoleToInstanceProfile", params=params))
    assert roles.has_profile("p")


def test_another_refusal_of_the_same_request_is_raised_at_once(aws: str) -> None:
    jumping = FakeTime()
    ask = client(aws, [], clock=jumping.clock())
    params = {**create_model("arn:aws:iam::123456789012:role/any").params, "PrimaryContainer": {"Image": "none:1"}}
    with pytest.raises(AwsError, match="not found"):
        ask(Request(service="sagemaker", operation="CreateModel", params=params))
    assert jumping.slept == []
