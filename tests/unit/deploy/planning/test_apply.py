"""Applying a plan: Refs, waits, checks, and how a failure ends it."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_a_wait_asks_until_the_status_is_reached_and_reports_each_status_once() -> None:
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


def test_waiting_for_a_deletion_ends_when_the_resource_is_gone() -> None:
    replies: list[Reply] = [
        {"EndpointStatus": "Deleting"},
        refusal("ValidationException", "Could not find endpoint e."),
    ]
    aws = FakeAws({"DescribeEndpoint": replies})
    wait(Wait(request=DESCRIBE, gone=True), aws, clock=FakeTime().clock())
    assert len(aws.sent) == 2


def test_deleting_a_resource_that_is_gone_is_no_error() -> None:
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


def test_a_check_that_fails_ends_the_plan_before_the_next_act() -> None:
    invoke = Request(service="lambda", operation="Invoke", params={"Qualifier": Ref(address="a", attribute="version")})
    check = Check(request=invoke, expect={"FunctionError": None})
    move = Request(service="lambda", operation="UpdateAlias")
    give = Request(service="lambda", operation="PublishVersion", gives={"a.version": "Version"})
    aws = FakeAws({"PublishVersion": {"Version": "4"}, "Invoke": {"FunctionError": "Unhandled"}})
    with pytest.raises(DeployError, match="role/r: FunctionError is Unhandled"):
        apply(Plan(steps=(step(give, check, move),)), aws)
    assert aws.operations == ["PublishVersion", "Invoke"]
    assert aws.sent[1].params == {"Qualifier": "4"}


def test_a_busy_answer_is_asked_for_again_and_a_lasting_one_ends_the_plan() -> None:
    invoke = Request(service="lambda", operation="Invoke")
    check = Check(request=invoke, expect={"status": 200}, busy={"status": (429, 503)})
    time = FakeTime()
    busy: list[Reply] = [{"status": 429}, {"status": 503}, {"status": 200}]
    aws = FakeAws({"Invoke": busy})
    apply(Plan(steps=(step(check),)), aws, clock=time.clock())
    assert (aws.operations, time.slept) == (["Invoke"] * 3, [1, 2])
    with pytest.raises(DeployError, match="status is 429, not 200"):
        apply(Plan(steps=(step(check),)), FakeAws({"Invoke": {"status": 429}}), clock=time.clock())
    assert time.slept[2:] == [1, 2, 4, 8]


def test_a_throttled_check_is_asked_again_and_any_other_refusal_ends_the_plan() -> None:
    check = Check(request=Request(service="lambda", operation="Invoke"), expect={"status": 200})
    time = FakeTime()
    throttled = refusal("TooManyRequestsException", "Rate Exceeded.")
    aws = FakeAws({"Invoke": [throttled, throttled, {"status": 200}]})
    apply(Plan(steps=(step(check),)), aws, clock=time.clock())
    assert (aws.operations, time.slept) == (["Invoke"] * 3, [1, 2])
    with pytest.raises(DeployError, match="TooManyRequestsException"):
        apply(Plan(steps=(step(check),)), FakeAws({"Invoke": throttled}), clock=time.clock())
    denied = FakeAws({"Invoke": refusal("AccessDeniedException", "no")})
    with pytest.raises(DeployError, match="AccessDeniedException"):
        apply(Plan(steps=(step(check),)), denied, clock=time.clock())
    assert denied.operations == ["Invoke"]


def test_a_wait_fills_in_refs_and_ends_when_nothing_is_at_its_path() -> None:
    alias = Request(service="lambda", operation="GetAlias", params={"Name": Ref(address="a", attribute="version")})
    give = Request(service="lambda", operation="PublishVersion", gives={"a.version": "Version"})
    weights: list[Reply] = [{"RoutingConfig": {"AdditionalVersionWeights": {"3": 1.0}}}, {"RoutingConfig": {}}]
    aws = FakeAws({"PublishVersion": {"Version": "4"}, "GetAlias": weights})
    wait_ = Wait(request=alias, path="RoutingConfig.AdditionalVersionWeights", empty=True)
    apply(Plan(steps=(step(give, wait_),)), aws, clock=FakeTime().clock())
    assert [request.params for request in aws.sent[1:]] == [{"Name": "4"}, {"Name": "4"}]
