"""Log groups: created first, kept as long as deploy.toml says; the account's shared groups are left alone."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.storage.log_group import KIND, ec2_group, endpoint_group, function_group
from deploy.values import State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws
from tests.unit.deploy.function.fakes import requests, shown

OURS = {"kennel:project": "kennel", "kennel:stage": "local"}


@pytest.mark.parametrize(
    ("observed", "acts"),
    [
        (None, ["CreateLogGroup", "PutRetentionPolicy"]),
        (State(fields={"retention_days": 30}, tags=OURS), []),
        (State(fields={"retention_days": None}, tags=OURS), ["PutRetentionPolicy"]),
        (State(fields={"retention_days": None}), ["TagResource", "PutRetentionPolicy"]),
        (State(fields={"retention_days": 30}), ["TagResource"]),
    ],
)
def test_the_step_for_a_group_follows_from_its_state(
    settings: Settings, observed: State | None, acts: list[str]
) -> None:
    assert shown(function_group(settings).plan(observed).acts) == acts


def test_lines_that_a_shorter_retention_deletes_are_named(settings: Settings) -> None:
    group = function_group(settings)
    assert "older than 30 days" in group.plan(State(fields={"retention_days": None}, tags=OURS)).touches
    assert group.plan(State(fields={"retention_days": 7}, tags=OURS)).touches == ""


def test_a_group_of_somebody_else_is_not_touched(settings: Settings) -> None:
    with pytest.raises(DeployError, match="does not carry the tags"):
        function_group(settings).plan(State(fields={"retention_days": 1}, tags={"team": "other"}))


def test_down_lists_only_names_that_are_ours(settings: Settings) -> None:
    groups = {
        "/aws/lambda/kennel-local": ["kennel-local-classify", "kennel-localized"],
        "/aws/sagemaker/Endpoints/kennel-local": ["kennel-local", "kennel-local-multi", "kennel-locale"],
        "/kennel/kennel-local/": ["ec2"],
    }

    def describe(params: Any) -> dict[str, Any]:
        start = params["logGroupNamePrefix"]
        folder = start.rpartition("/")[0]
        return {"logGroups": [{"logGroupName": f"{folder}/{name}"} for name in groups[start]]}

    names = list(KIND.names(settings, FakeAws({"DescribeLogGroups": describe})))
    assert names == [
        "/aws/lambda/kennel-local-classify", "/aws/sagemaker/Endpoints/kennel-local",
        "/aws/sagemaker/Endpoints/kennel-local-multi", "/kennel/kennel-local/ec2",
    ]  # fmt: skip


def test_cloudwatch_accepts_every_request(settings: Settings, golden: Golden) -> None:
    group = endpoint_group(settings, "kennel-local")
    for request in (*requests(group.plan(None)), *requests(group.plan(State(fields={"retention_days": 1})))):
        golden("log-group", request)
    golden("log-group", requests(group.remove())[0])
    aws = FakeAws({"DescribeLogGroups": {"logGroups": [{"logGroupName": group.name, "retentionInDays": 30}]}})
    state = group.read(aws)
    assert state is not None
    assert state.fields == {"retention_days": 30}
    for request in aws.sent:
        golden("log-group", request)
    assert ec2_group(settings).name == "/kennel/kennel-local/ec2"
