"""The function URL: two permissions for either access, removed as soon as deploy.toml says so."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from deploy.config.settings import Settings
from deploy.function.function_url import Access, FunctionUrl, function_url
from deploy.values import State
from localcloud.awslambda.records import Policy
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.function.fakes import LambdaCalls, deploy, requests, shown
from tests.unit.localcloud.awslambda.fakes import Fakes


def url(access: Access) -> FunctionUrl:
    return FunctionUrl(function="f", alias="live", access=access, account="123456789012")


def observed(access: Access) -> State:
    return State(fields=url(access).desired())


@pytest.mark.parametrize(
    ("now", "after", "acts"),
    [
        ("none", "none", []),
        ("none", "iam", ["CreateFunctionUrlConfig", "AddPermission", "AddPermission"]),
        ("iam", "none", ["DeleteFunctionUrlConfig", "RemovePermission", "RemovePermission"]),
        ("public", "iam", ["UpdateFunctionUrlConfig", *["RemovePermission"] * 2, *["AddPermission"] * 2]),
        ("public", "public", []),
    ],
)
def test_callers_without_access_are_locked_out_by_the_first_request(
    now: Access, after: Access, acts: list[str]
) -> None:
    assert shown(url(after).plan(observed(now)).acts) == acts


def test_a_missing_permission_is_added_again() -> None:
    step = url("iam").plan(State(fields={"auth": "AWS_IAM", "permissions": ["kennel-url-iam"]}))
    assert [request.params["StatementId"] for request in requests(step)] == ["kennel-url-iam-function"]


def test_lambda_accepts_every_transition_and_a_second_deploy_does_nothing() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.later.run()
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    calls = LambdaCalls(fakes)
    for now, after in product(get_args(Access), get_args(Access)):
        deploy([url(now)], calls)
        deploy([url(after)], calls)
        assert deploy([url(after)], calls) == (), (now, after)
        statements = fakes.functions.functions["f"].policies.get("live", Policy()).statements
        assert len(statements) == (0 if after == "none" else 2), (now, after)


def test_a_plan_says_who_gets_access_and_at_whose_cost() -> None:
    assert "at your cost" in url("public").plan(None).touches
    assert "signed requests" in url("iam").plan(None).touches
    assert url("none").plan(observed("public")).action == "delete"


def test_the_url_belongs_to_the_alias(settings: Settings) -> None:
    assert function_url(settings).address == "function-url/kennel-local-classify:live"
    assert function_url(settings).access == "none"


@pytest.mark.parametrize("access", ["iam", "public"])
def test_lambda_accepts_every_request(golden: Golden, access: Access) -> None:
    for request in requests(url(access).plan(None)):
        sid = str(request.params.get("StatementId", "")).removeprefix("kennel-")
        golden(sid or f"url-{access}", request, rules=(70,))
    other: Access = "public" if access == "iam" else "iam"
    golden(f"url-{access}", requests(url(access).plan(observed(other)))[0], rules=(70,))
    for request in requests(url("none").plan(observed(access))):
        sid = str(request.params.get("StatementId", "")).removeprefix("kennel-")
        golden(sid or "url", request, rules=(70,))
    calls = LambdaCalls(Fakes())
    url(access).read(calls)
    for request in calls.sent:
        golden("url", request, rules=(70,))
