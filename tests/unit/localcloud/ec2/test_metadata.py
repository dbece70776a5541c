"""The metadata service: tokens where required, credentials of the role, the notice of a spot interruption."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.aws_client import Credentials
from localcloud.ec2.metadata import TOKEN, TTL, Facts, Tokens, answer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FACTS = Facts(
    instance_id="i-0a", instance_type="g4dn.xlarge", image_id="ami-1", region="us-east-1", zone="us-east-1a",
    account="123456789012", private_ip="10.0.0.5", role="trainer", user_data=b"#!/bin/sh", tokens_required=True,
)  # fmt: skip


def get(path: str, headers: dict[str, str] | None = None, facts: Facts = FACTS, method: str = "GET") -> tuple[int, str]:
    tokens = Tokens(expiries={"good": NOW + timedelta(seconds=60), "old": NOW})
    status, body = answer(facts, tokens, method=method, path=path, headers=headers or {TOKEN: "good"}, now=NOW)
    return status, body.decode()


def test_a_put_issues_a_token_that_expires() -> None:
    tokens = Tokens()
    status, body = answer(FACTS, tokens, method="PUT", path="/latest/api/token", headers={TTL: "60"}, now=NOW)
    assert status == 200
    headers = {TOKEN: body.decode()}
    path = "/latest/meta-data/instance-id"
    assert answer(FACTS, tokens, method="GET", path=path, headers=headers, now=NOW) == (200, b"i-0a")
    later = NOW + timedelta(seconds=61)
    assert answer(FACTS, tokens, method="GET", path=path, headers=headers, now=later)[0] == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 400), ({TTL: "0"}, 400), ({TTL: "21601"}, 400), ({TTL: "9", "x-forwarded-for": "a"}, 403)],
)
def test_a_token_is_not_issued_without_a_lifetime_or_through_a_proxy(headers: dict[str, str], status: int) -> None:
    assert answer(FACTS, Tokens(), method="PUT", path="/latest/api/token", headers=headers, now=NOW)[0] == status


def test_where_tokens_are_required_a_request_without_one_is_refused() -> None:
    path = "/latest/meta-data/instance-id"
    assert get(path, {"host": "x"})[0] == 401
    assert get(path, {TOKEN: "old"})[0] == 401
    assert get(path, {"host": "x"}, replace(FACTS, tokens_required=False)) == (200, "i-0a")


def test_the_role_is_listed_and_its_credentials_have_ec2s_shape() -> None:
    assert get("/latest/meta-data/iam/security-credentials/") == (200, "trainer")
    credentials = json.loads(get("/latest/meta-data/iam/security-credentials/trainer")[1])
    assert set(credentials) == {"Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert get("/latest/meta-data/iam/security-credentials/", facts=replace(FACTS, role=""))[0] == 404


def test_the_credentials_are_those_of_the_roles_session() -> None:
    session = Credentials(key="ASIAROLE", secret="secret", token="token")
    path = "/latest/meta-data/iam/security-credentials/trainer"
    found = json.loads(get(path, facts=replace(FACTS, credentials=session))[1])
    assert (found["AccessKeyId"], found["SecretAccessKey"], found["Token"]) == ("ASIAROLE", "secret", "token")


def test_a_spot_notice_exists_only_after_an_interruption() -> None:
    path = "/latest/meta-data/spot/instance-action"
    assert get(path)[0] == 404
    status, body = get(path, facts=replace(FACTS, interruption=NOW))
    assert (status, json.loads(body)) == (200, {"action": "terminate", "time": "2026-11-21T12:00:00Z"})


def test_a_folder_lists_its_names() -> None:
    assert get("/latest/meta-data/placement/") == (200, "availability-zone\nregion")
    assert get("/latest/user-data") == (200, "#!/bin/sh")
    assert get("/latest/nothing")[0] == 404
