"""The AWS client: refusals that pass, errors with their fixes, and the account of a stage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.aws.client import Client, is_denied, is_missing, is_throttled
from deploy.aws.s3_empty import empty_bucket
from deploy.aws.s3_upload import upload
from deploy.config.settings import Settings
from deploy.errors import AwsError, DeployError
from deploy.values import Request
from tests.unit.deploy.fakes import FakeTime, refusal
from tests.unit.deploy.golden.requests import FOLDER, operation

NOT_THERE = re.compile(r"NotFound|NoSuch|NotExist")
# Not there, but another thing than the one that the request is about.
ABOUT_OTHERS = {"CodeSigningConfigNotFoundException", "KMSNotFoundException"}


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("NoSuchEntity", "", True),
        ("404", "Not Found", True),
        ("ValidationException", 'Could not find model "m".', True),
        ("ValidationException", "1 validation error detected", False),
        ("InvalidInstanceID.NotFound", "", True),
        ("InvalidGroup.NotFound", "", True),
        ("AccessDenied", "", False),
    ],
)
def test_missing_is_told_apart_from_denied(code: str, message: str, missing: bool) -> None:
    assert is_missing(refusal(code, message)) is missing


def codes(pattern: re.Pattern[str]) -> Iterator[str]:
    """The error codes that botocore's models name for the operations that have a golden file."""
    for code in error_codes():
        if pattern.search(code):
            yield code


@cache
def error_codes() -> frozenset[str]:
    files = [(path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in FOLDER.rglob("*.json")]
    asked = {(service, str(content["operation"])) for service, content in files}
    models = (operation(Request(service=service, operation=name)) for service, name in asked)
    shapes = (shape for model in models for shape in model.error_shapes)
    return frozenset(str(shape.metadata.get("error", {}).get("code") or shape.name) for shape in shapes)


def test_every_code_of_a_service_that_we_call_for_what_is_not_there_is_known() -> None:
    named = set(codes(NOT_THERE))
    assert "ProvisionedConcurrencyConfigNotFoundException" in named
    assert {code for code in named if not is_missing(refusal(code))} == ABOUT_OTHERS


def test_every_code_of_a_service_that_we_call_for_a_right_that_lacks_is_known() -> None:
    named = {*codes(re.compile("AccessDenied|Unauthorized")), "UnauthorizedOperation", "AccessDenied", "403"}
    about_others = {code for code in named if code.startswith(("KMS", "EC2"))}  # of the function's role
    assert {code for code in named if not is_denied(refusal(code))} == about_others


def test_every_code_of_a_service_that_we_call_for_too_many_requests_is_known() -> None:
    named = set(codes(re.compile("Thrott|TooManyRequests|ServiceUnavailable")))
    about_others = {code for code in named if code.startswith("EC2")}
    assert {code for code in named if not is_throttled(refusal(code))} == about_others


class Session:
    """A boto3 session whose one client plays back errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def client(self, service: str, **_: Any) -> Any:
        return self

    def create_function(self, **_: Any) -> dict[str, str]:
        return self.get_caller_identity()

    def update_endpoint(self, **_: Any) -> dict[str, str]:
        return self.get_caller_identity()

    def invoke(self, **_: Any) -> dict[str, str]:
        return self.get_caller_identity()

    def describe_endpoint_config(self, **_: Any) -> dict[str, str]:
        return self.get_caller_identity()

    def get_caller_identity(self, **_: Any) -> dict[str, str]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return {"Account": "210987654321", "Arn": "arn:aws:iam::210987654321:user/me"}


def client_error(code: str, message: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


def client(settings: Settings, session: Session, time: FakeTime) -> Client:
    return Client(stage=settings.stage, session=session, clock=time.clock())


WHO = Request(service="sts", operation="GetCallerIdentity")
NEW = Request(service="lambda", operation="CreateFunction")


def unknown_role() -> Exception:
    message = "The role defined for the function cannot be assumed by Lambda."
    return client_error("InvalidParameterValueException", message)


def test_a_refusal_that_passes_by_itself_is_retried_and_people_are_told_what_is_awaited(settings: Settings) -> None:
    time, said = FakeTime(), list[str]()
    session = Session(*[unknown_role()] * 3)
    asking = replace(client(settings, session, time), say=said.append)
    assert asking(NEW)["Account"] == "210987654321"
    assert time.slept == [1, 2, 4]
    assert [line.partition(",")[0] for line in said] == [
        "CreateFunction: waiting up to 2 minutes until Lambda may use the role"
    ]


def test_retries_of_a_refusal_are_bounded_and_the_error_says_how_long_it_was_awaited(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[unknown_role()] * 1000)
    with pytest.raises(AwsError, match=r"(?s)cannot be assumed by Lambda.*tried again for 11\d s") as caught:
        client(settings, session, time)(NEW)
    assert caught.value.code == "InvalidParameterValueException"
    assert 100 < time.time <= 120


@pytest.mark.parametrize("code", ["ThrottlingException", "Throttling", "RequestLimitExceeded", "SlowDown"])
def test_a_throttled_request_is_sent_again_also_when_it_only_asks(settings: Settings, code: str) -> None:
    time = FakeTime()
    assert client(settings, Session(*[client_error(code, "Rate exceeded")] * 3), time)(WHO)["Account"]
    assert time.slept == [1, 2, 4]


def test_a_function_at_its_concurrency_is_told_at_once(settings: Settings) -> None:
    session = Session(client_error("TooManyRequestsException", "Rate Exceeded."))
    with pytest.raises(AwsError, match=r"raise lambda\.reserved_concurrency"):
        client(settings, session, FakeTime())(Request(service="lambda", operation="Invoke"))


def test_an_update_waits_while_the_autoscaler_changes_the_endpoint(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", 'Cannot update in-progress endpoint "arn:x".')] * 50)
    client(settings, session, time)(Request(service="sagemaker", operation="UpdateEndpoint"))
    assert 120 < time.time < 600


def test_a_question_about_a_missing_resource_is_not_retried(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", 'Could not find endpoint configuration "c".')] * 3)
    with pytest.raises(DeployError, match="Could not find"):
        client(settings, session, time)(Request(service="sagemaker", operation="DescribeEndpointConfig"))
    assert time.slept == []


def test_any_other_refusal_is_raised_at_once_with_its_fix(settings: Settings) -> None:
    session = Session(client_error("ExpiredToken", "The security token is expired"))
    with pytest.raises(DeployError, match=r"(?s)sts.GetCallerIdentity: ExpiredToken: .*log in again"):
        client(settings, session, FakeTime())(WHO)
    assert session.calls == 1


def test_a_new_accounts_limit_of_memory_is_explained(settings: Settings) -> None:
    words = "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008"
    session = Session(client_error("InvalidParameterValueException", words))
    with pytest.raises(AwsError, match=r"at most 3008 MB: lower lambda\.memory_mb, or ask AWS Support"):
        client(settings, session, FakeTime())(NEW)


def test_without_a_default_vpc_the_key_to_set_is_named(settings: Settings) -> None:
    session = Session(client_error("VPCIdNotSpecified", "No default VPC for this user"))
    with pytest.raises(DeployError, match=r"(?s)No default VPC for this user.*set training.ec2.subnet"):
        client(settings, session, FakeTime())(WHO)


def test_credentials_of_another_account_are_refused(settings: Settings) -> None:
    with pytest.raises(DeployError, match=r"account 210987654321: .*the stage, 123456789012"):
        client(settings, Session(), FakeTime()).check_account()


def test_an_address_that_does_not_answer_says_how_to_start_localcloud(settings: Settings) -> None:
    from botocore.exceptions import EndpointConnectionError

    session = Session(EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"))
    with pytest.raises(DeployError, match=r"nothing answers at http://127.0.0.1:4566: run ./inv up"):
        client(settings, session, FakeTime())(WHO)


class BusyBucket:
    """A boto3 session whose S3 reads what it is sent, and refuses the first request."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def client(self, service: str, **_: Any) -> Any:
        return self

    def put_object(self, **sent: Any) -> dict[str, str]:
        body = sent["Body"]
        self.bodies.append(body if isinstance(body, bytes) else body.read())
        if len(self.bodies) == 1:
            raise client_error("SlowDown", "Please reduce your request rate.")
        return {}


def test_a_throttled_upload_sends_the_whole_file_again(settings: Settings, tmp_path: Path) -> None:
    bucket, path = BusyBucket(), tmp_path / "1.jpg"
    path.write_bytes(b"picture")
    call = Client(stage=settings.stage, session=bucket, clock=FakeTime().clock())
    upload(call, bucket="b", key="1.jpg", path=path)
    assert bucket.bodies == [b"picture"] * 2


class Answers:
    """A boto3 session whose one client gives the same answer to everything."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def client(self, service: str, **_: Any) -> Any:
        return self

    def __getattr__(self, operation: str) -> Any:
        return lambda **_: self.answer


LOCKED = {"Key": "a.jpg", "VersionId": "1", "Code": "AccessDenied", "Message": "Access Denied"}
CHILD = {"imageId": {"imageDigest": "sha256:1"}, "failureCode": "ImageReferencedByManifestList", "failureReason": "no"}
GONE = {"imageId": {"imageDigest": "sha256:2"}, "failureCode": "ImageNotFound", "failureReason": "not found"}


@pytest.mark.parametrize(
    ("service", "operation", "answer", "message"),
    [
        ("s3", "DeleteObjects", {"Errors": [LOCKED]}, r"AccessDenied: a.jpg: Access Denied \(1 refused in all\)"),
        ("ecr", "BatchDeleteImage", {"failures": [GONE, CHILD]}, "ImageReferencedByManifestList: sha256:1: no"),
        ("s3", "DeleteObjects", {"Deleted": [{"Key": "a.jpg"}]}, ""),
        ("ecr", "BatchDeleteImage", {"failures": [GONE]}, ""),
        ("ecr", "BatchGetImage", {"failures": [GONE, CHILD]}, ""),  # a question: who asks reads what is there
    ],
)
def test_a_refusal_inside_an_answer_is_a_refusal(
    settings: Settings, service: str, operation: str, answer: dict[str, Any], message: str
) -> None:
    call = Client(stage=settings.stage, session=Answers(answer), clock=FakeTime().clock())
    request = Request(service=service, operation=operation)
    if not message:
        assert call(request) == answer
        return
    with pytest.raises(AwsError, match=message):
        call(request)


def test_a_bucket_whose_objects_may_not_be_deleted_is_not_emptied_for_ever(settings: Settings) -> None:
    versions = [{"Key": "a.jpg", "VersionId": "1"}]
    call = Client(stage=settings.stage, session=Answers({"Versions": versions, "Errors": [LOCKED]}))
    with pytest.raises(AwsError, match=r"a\.jpg"):
        empty_bucket("bucket", call)


def test_every_request_is_logged_before_it_is_sent(settings: Settings) -> None:
    sent: list[Request] = []
    Client(stage=settings.stage, session=Session(), log=sent.append)(WHO)
    assert [str(each) for each in sent] == ["sts.GetCallerIdentity {}"]
