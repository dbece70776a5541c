"""Applying: Refs, waits, refusals that pass, and what a failure leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.aws.client import Client, is_missing
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.planning.apply import apply, resolve, wait
from deploy.values import Check, EmptyBucket, Plan, Ref, Request, Step, Wait
from tests.unit.deploy.fakes import FakeAws, FakeTime, Reply, refusal

DESCRIBE = Request(service="sagemaker", operation="DescribeEndpoint", params={"EndpointName": "e"})
WAIT = Wait(request=DESCRIBE, path="EndpointStatus", until="InService", failed=("Failed",), reason="FailureReason")


def step(*acts: Any, action: Any = "create", address: str = "role/r") -> Step:
    return Step(action=action, address=address, reason="test", acts=acts)


def test_a_value_that_a_step_gives_reaches_the_steps_after_it() -> None:
    create = Request(service="iam", operation="CreateRole", gives={"role/r.arn": "Role.Arn"})
    use = Request(service="lambda", operation="CreateFunction", params={"Role": Ref(address="role/r", attribute="arn")})
    aws = FakeAws({"CreateRole": {"Role": {"Arn": "arn:new"}}})
    apply(Plan(steps=(step(create), step(use, address="function/f"))), aws)
    assert aws.sent[1].params == {"Role": "arn:new"}


def test_a_value_that_nothing_gives_is_a_bug_and_raises() -> None:
    with pytest.raises(KeyError, match=r"role/r\.arn"):
        resolve([Ref(address="role/r", attribute="arn")], {})


def test_steps_that_change_nothing_send_nothing() -> None:
    aws = FakeAws()
    assert apply(Plan(steps=(step(DESCRIBE, action="none"),)), aws) == ()
    assert aws.sent == []


def test_a_wait_asks_until_it_is_so_and_says_each_status_once() -> None:
    answers = [{"EndpointStatus": status} for status in ("Creating", "Creating", "InService")]
    time, statuses = FakeTime(), list[str]()
    wait(WAIT, FakeAws({"DescribeEndpoint": answers}), clock=time.clock(), report=statuses.append)
    assert statuses == ["Creating", "InService"]
    assert len(time.slept) == 2


def test_a_wait_that_fails_gives_the_reason() -> None:
    aws = FakeAws({"DescribeEndpoint": {"EndpointStatus": "Failed", "FailureReason": "no ping"}})
    with pytest.raises(DeployError, match="Failed: no ping"):
        wait(WAIT, aws, clock=FakeTime().clock())


def test_a_wait_ends_when_its_time_is_up() -> None:
    time = FakeTime()
    with pytest.raises(DeployError, match="still Creating after 3600 s"):
        wait(WAIT, FakeAws({"DescribeEndpoint": {"EndpointStatus": "Creating"}}), clock=time.clock())
    assert 3600 < time.time < 3700


def test_an_update_that_was_rolled_back_is_a_failure_though_it_ends_in_service() -> None:
    aws = FakeAws({"DescribeEndpoint": {"EndpointStatus": "InService", "EndpointConfigName": "old"}})
    rolled_back = Wait(**{**vars(WAIT), "expect": {"EndpointConfigName": "new"}})
    with pytest.raises(DeployError, match="rolled back: EndpointConfigName is old, not new"):
        wait(rolled_back, aws, clock=FakeTime().clock())


def test_waiting_for_an_end_ends_when_it_is_gone() -> None:
    replies: list[Reply] = [
        {"EndpointStatus": "Deleting"},
        refusal("ValidationException", "Could not find endpoint e."),
    ]
    aws = FakeAws({"DescribeEndpoint": replies})
    wait(Wait(request=DESCRIBE, gone=True), aws, clock=FakeTime().clock())
    assert len(aws.sent) == 2


def test_deleting_what_is_gone_already_is_no_error() -> None:
    aws = FakeAws({"DeleteModel": refusal("ValidationException", "Could not find model m.")})
    delete = Request(service="sagemaker", operation="DeleteModel")
    assert len(apply(Plan(steps=(step(delete, action="delete", address="model/m"),)), aws)) == 1


def test_a_failure_names_the_resource_and_stops_there() -> None:
    aws = FakeAws({"CreateRole": refusal("AccessDenied", "not allowed")})
    first = step(Request(service="iam", operation="CreateRole"))
    with pytest.raises(DeployError, match=r"(?s)role/r: .*AccessDenied.*run the same command again to continue"):
        apply(Plan(steps=(first, step(DESCRIBE, address="endpoint/e"))), aws)
    assert aws.operations == ["CreateRole"]


def test_a_bucket_is_emptied_of_every_version_before_it_goes() -> None:
    listed = [
        {"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": [{"Key": "a", "VersionId": "2"}]},
        {},
    ]
    aws = FakeAws({"ListObjectVersions": listed})
    apply(Plan(steps=(step(EmptyBucket(bucket="b"), action="delete", address="bucket/b"),)), aws)
    deleted = next(request for request in aws.sent if request.operation == "DeleteObjects").params["Delete"]["Objects"]
    assert deleted == [{"Key": "a", "VersionId": "1"}, {"Key": "a", "VersionId": "2"}]


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("NoSuchEntity", "", True),
        ("404", "Not Found", True),
        ("ValidationException", 'Could not find model "m".', True),
        ("ValidationException", "1 validation error detected", False),
        ("AccessDenied", "", False),
    ],
)
def test_not_there_is_told_from_not_allowed(code: str, message: str, missing: bool) -> None:
    assert is_missing(refusal(code, message)) is missing


class Session:
    """A boto3 session whose one client plays back errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def client(self, service: str, **_: Any) -> Any:
        return self

    def create_function(self, **_: Any) -> dict[str, str]:
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


def test_a_refusal_that_passes_by_itself_is_tried_again(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", "Could not assume role arn:x")] * 3)
    assert client(settings, session, time)(NEW)["Account"] == "210987654321"
    assert time.slept == [1, 2, 4]


def test_patience_with_a_refusal_is_bounded(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", "Could not assume role arn:x")] * 1000)
    with pytest.raises(DeployError, match="Could not assume role"):
        client(settings, session, time)(NEW)
    assert 100 < time.time <= 120


def test_an_endpoint_that_the_autoscaler_is_moving_is_waited_for(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", 'Cannot update in-progress endpoint "arn:x".')] * 50)
    client(settings, session, time)(NEW)
    assert 120 < time.time < 600


def test_a_question_about_what_is_not_there_is_answered_at_once(settings: Settings) -> None:
    time = FakeTime()
    session = Session(*[client_error("ValidationException", 'Could not find endpoint configuration "c".')] * 3)
    with pytest.raises(DeployError, match="Could not find"):
        client(settings, session, time)(Request(service="sagemaker", operation="DescribeEndpointConfig"))
    assert time.slept == []


def test_any_other_refusal_is_told_at_once_with_what_to_do(settings: Settings) -> None:
    session = Session(client_error("ExpiredToken", "The security token is expired"))
    with pytest.raises(DeployError, match=r"(?s)sts.GetCallerIdentity: ExpiredToken: .*log in again"):
        client(settings, session, FakeTime())(WHO)
    assert session.calls == 1


def test_another_account_than_the_stages_is_refused(settings: Settings) -> None:
    with pytest.raises(DeployError, match=r"account 210987654321: .*the stage, 123456789012"):
        client(settings, Session(), FakeTime()).check_account()


def test_nothing_at_the_address_says_how_to_start_it(settings: Settings) -> None:
    from botocore.exceptions import EndpointConnectionError

    session = Session(EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"))
    with pytest.raises(DeployError, match=r"nothing answers at http://127.0.0.1:4566: run ./inv up"):
        client(settings, session, FakeTime())(WHO)


def test_every_request_can_be_seen_before_it_goes(settings: Settings) -> None:
    sent: list[Request] = []
    Client(stage=settings.stage, session=Session(), log=sent.append)(WHO)
    assert [str(each) for each in sent] == ["sts.GetCallerIdentity {}"]


def test_a_check_that_finds_a_fault_ends_the_plan_before_what_comes_after() -> None:
    invoke = Request(service="lambda", operation="Invoke", params={"Qualifier": Ref(address="a", attribute="version")})
    check = Check(request=invoke, expect={"FunctionError": None})
    move = Request(service="lambda", operation="UpdateAlias")
    give = Request(service="lambda", operation="PublishVersion", gives={"a.version": "Version"})
    aws = FakeAws({"PublishVersion": {"Version": "4"}, "Invoke": {"FunctionError": "Unhandled"}})
    with pytest.raises(DeployError, match="role/r: FunctionError is Unhandled"):
        apply(Plan(steps=(step(give, check, move),)), aws)
    assert aws.operations == ["PublishVersion", "Invoke"]
    assert aws.sent[1].params == {"Qualifier": "4"}


def test_a_wait_for_a_version_that_a_step_gave_asks_for_that_one_until_nothing_is_at_the_place() -> None:
    alias = Request(service="lambda", operation="GetAlias", params={"Name": Ref(address="a", attribute="version")})
    give = Request(service="lambda", operation="PublishVersion", gives={"a.version": "Version"})
    weights: list[Reply] = [{"RoutingConfig": {"AdditionalVersionWeights": {"3": 1.0}}}, {"RoutingConfig": {}}]
    aws = FakeAws({"PublishVersion": {"Version": "4"}, "GetAlias": weights})
    wait_ = Wait(request=alias, path="RoutingConfig.AdditionalVersionWeights", empty=True)
    apply(Plan(steps=(step(give, wait_),)), aws, clock=FakeTime().clock())
    assert [request.params for request in aws.sent[1:]] == [{"Name": "4"}, {"Name": "4"}]
