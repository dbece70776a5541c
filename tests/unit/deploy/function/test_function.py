"""The function itself: which of its parts are updated, and when."""

from __future__ import annotations

import pytest

from deploy.config.settings import Settings
from deploy.function import function as functions
from deploy.function.function import KIND, Function, is_active, is_settled, is_updated
from deploy.values import State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws
from tests.unit.deploy.function.fakes import requests, shown

TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}


@pytest.fixture
def function(settings: Settings) -> Function:
    return functions.function(
        settings, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/kennel-local/lambda@sha256:abc"
    )


def other(function: Function, status: str) -> State:
    return State(fields={**function.desired(), "image": "old", "timeout_s": 3}, tags=TAGS, status=status)


@pytest.mark.parametrize(
    ("status", "acts"),
    [
        ("Active", []),
        ("Inactive", []),  # of weeks without a call: waiting for Active would be waiting for ever
        ("Pending", ["wait Active or Inactive"]),
    ],
)
def test_an_update_waits_for_one_in_progress_and_each_part_for_the_part_before(
    function: Function, status: str, acts: list[str]
) -> None:
    settled = "wait Successful"
    parts = [settled, "UpdateFunctionCode", settled, "UpdateFunctionConfiguration", settled]
    assert shown(function.plan(other(function, status)).acts) == [*acts, *parts]


def test_a_function_that_is_still_pending_is_waited_for(function: Function) -> None:
    step = function.plan(State(fields=function.desired(), tags=TAGS, status="Pending"))
    assert (shown(step.acts), step.reason) == (["wait Active or Inactive"], "is still Pending")


def test_an_update_that_failed_is_sent_again_though_nothing_differs(function: Function) -> None:
    answer = {"Configuration": {"FunctionArn": "a", "State": "Active", "LastUpdateStatus": "Failed"}, "Tags": TAGS}
    observed = function.read(FakeAws({"GetFunction": answer}))
    assert observed is not None
    step = function.plan(State(fields=function.desired(), tags=TAGS, status=observed.status))
    settled = "wait Successful"
    assert shown(step.acts) == ["UpdateFunctionCode", settled, "UpdateFunctionConfiguration", settled]
    assert step.reason == "its last update failed"


def test_a_function_whose_creation_failed_is_made_anew(function: Function) -> None:
    step = function.plan(other(function, "Failed"))
    assert (step.action, shown(step.acts)) == ("replace", ["DeleteFunction", "CreateFunction", "wait Active"])


def test_its_state_shows_the_live_version_the_warm_instances_and_the_url(settings: Settings) -> None:
    aws = FakeAws(
        {
            "GetFunction": {"Configuration": {"State": "Active"}},
            "GetAlias": {"Name": "live", "FunctionVersion": "3"},
            "ListProvisionedConcurrencyConfigs": {
                "ProvisionedConcurrencyConfigs": [
                    {"RequestedProvisionedConcurrentExecutions": 2, "AvailableProvisionedConcurrentExecutions": 1}
                ]
            },
            "ListFunctionUrlConfigs": {"FunctionUrlConfigs": [{"FunctionUrl": "https://x.lambda-url/"}]},
        }
    )
    state = KIND.state("f", settings, aws)
    assert state == "Active, live is version 3, 1 of 2 kept warm, https://x.lambda-url/"


def test_lambda_accepts_the_requests_of_status_and_down(settings: Settings, golden: Golden) -> None:
    listed = {"Functions": [{"FunctionName": "kennel-local-classify"}, {"FunctionName": "kennel-localised"}]}
    aws = FakeAws({"ListFunctions": listed, "GetFunction": {"Configuration": {}}, "ListTags": {"Tags": TAGS}})
    aws.replies = {**aws.replies, "GetAlias": {"Name": "live", "FunctionVersion": "1"}}
    assert list(KIND.names(settings, aws)) == ["kennel-local-classify"]
    assert KIND.tags("kennel-local-classify", settings, aws) == TAGS
    KIND.state("kennel-local-classify", settings, aws)
    for request in aws.sent:
        golden("function-read", request)


def test_lambda_accepts_every_request(function: Function, golden: Golden) -> None:
    new = requests(function.plan(None))
    updates = requests(function.plan(other(function, "Active")))
    for request in (*new, *updates, *requests(function.remove())):
        golden("function", request, rules=(65,))
    waits = {"active": is_active("f"), "published": is_settled("f", "3"), "updated": is_updated("f")}
    for name, wait in waits.items():
        golden(name, wait.request, rules=(66,))


def test_the_environment_names_the_main_endpoint_and_holds_no_secret(function: Function) -> None:
    assert function.config.environment == {
        "KENNEL_ENDPOINT_NAME": "kennel-local",
        "KENNEL_MAX_BYTES": "6000000",
        "KENNEL_ALLOW_HTTP": "0",
        "KENNEL_ALLOW_HOSTS": "",
    }
