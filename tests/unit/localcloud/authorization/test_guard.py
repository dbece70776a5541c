"""The guard answers what it cannot judge with an error, and never lets it pass."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from localcloud.authorization.enforcement import Enforcement
from localcloud.authorization.guard import Guard, request_tags
from localcloud.authorization.identity import Caller
from localcloud.authorization.simulator import Policies
from localcloud.errors import LocalcloudError
from localcloud.gateway.service import Request

ANN = Caller(arn="arn:aws:iam::123456789012:user/ann", account="123456789012", policies=Policies())


class Broken:
    """An enforcement whose judge fails. The key `root` is root's, every other one Ann's."""

    def __init__(self, error: Exception) -> None:
        self.identities, self.account, self.error = self, self, error
        self.region = "us-east-1"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def find(self, key: str, token: str, now: datetime) -> Caller | None:
        return None if key == "root" else ANN

    def first_refused(self, caller: Caller, needs: Any, context: Mapping[str, str]) -> None:
        raise self.error


def request(key: str, target: str = "SageMaker.ListModels", body: bytes = b"{}") -> Request:
    credential = f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host"
    headers = {"authorization": credential, "x-amz-target": target}
    return Request(method="POST", path="/", query="", headers=headers, body=body, source="127.0.0.1")


def answered(error: Exception, asked: Request) -> tuple[int, str] | None:
    """Status and message of the guard's answer; None when it lets the request pass."""
    answer = Guard(enforcement=cast("Enforcement", Broken(error)))(asked)
    return None if answer is None else (answer.status, json.loads(cast("bytes", answer.body))["message"])


def test_root_passes_without_a_judge() -> None:
    assert answered(RuntimeError("x"), request("root")) is None


def test_a_judge_that_cannot_work_is_an_error_and_no_pass(capfd: pytest.CaptureFixture[str]) -> None:
    told = answered(LocalcloudError("no simulator"), request("ann"))
    assert told == (500, "localcloud cannot enforce IAM: no simulator")
    told = answered(RuntimeError("a bug"), request("ann"))
    assert told == (500, "localcloud has a bug in its judgement of a request: RuntimeError: a bug")
    assert "RuntimeError: a bug" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        ("SageMaker.ListApps", b"{}", "does not know which rights sagemaker.ListApps needs"),
        ("SageMaker.Nothing", b"{}", "does not know which rights sagemaker (SageMaker.Nothing) needs"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_name(target: str, body: bytes, message: str) -> None:
    told = answered(RuntimeError("not asked"), request("ann", target, body))
    assert told is not None
    assert message in told[1]


def test_the_tags_of_a_request_are_condition_keys_in_either_form() -> None:
    assert request_tags({"Tags": [{"Key": "team", "Value": "dogs"}]}) == {"aws:RequestTag/team": "dogs"}
    assert request_tags({"tags": {"team": "dogs"}}) == {"aws:RequestTag/team": "dogs"}
    assert request_tags({}) == {}
