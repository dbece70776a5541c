"""localcloud answers as real AWS was recorded to answer; where it does not, the difference is stated and held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from localcloud.ec2 import instances
from localcloud.gateway.server import Application, Listener, bind
from tests.functional.localcloud.recorded import CASES
from tests.functional.localcloud.recorded.case import Case, outcome
from tests.unit.localcloud.fakes import cloud

Client = Callable[[str, str], Any]
NUMBERED = [(service, number, case) for service, cases in CASES.items() for number, case in enumerate(cases)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Makes boto3 clients that send what they are given, also what botocore knows to be wrong."""
    services = instances.services(cloud(tmp_path_factory.mktemp("recorded")))
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application(services, region="us-east-1", health=dict))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    requests.post(f"{url}/moto-api/reset", timeout=5)
    session: Any = boto3.session.Session(aws_access_key_id="recorded", aws_secret_access_key="recorded")
    config = Config(
        parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
    )  # fmt: skip

    def make(service: str, region: str) -> Any:
        return session.client(service, endpoint_url=url, region_name=region, config=config)

    yield make
    requests.post(f"{url}/moto-api/reset", timeout=5)
    listener.stop()
    for each in services:
        each.close()


@pytest.mark.parametrize(
    ("service", "case"),
    [(service, case) for service, _, case in NUMBERED],
    ids=[f"{service}-{number}-{case.operation}" for service, number, case in NUMBERED],
)
def test_an_answer_is_the_recorded_one(client: Client, service: str, case: Case) -> None:
    assert outcome(case, client(service, case.region)) == (case.here or case.aws)


def test_a_difference_is_stated_only_where_there_is_one() -> None:
    assert [case for _, _, case in NUMBERED if case.here == case.aws] == []
