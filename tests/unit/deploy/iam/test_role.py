"""Roles: the step from observed to desired, with the rights gained and lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deploy.config.general import Iam
from deploy.config.settings import Settings
from deploy.iam.document import allow, document
from deploy.iam.role import Role, ec2_role, endpoint_role, function_role, notebook_role, training_role
from deploy.values import Request, State, Step
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws

TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
BOUNDARY = "arn:aws:iam::123456789012:policy/bounds"
RULES = {
    training_role: (77, 82),
    endpoint_role: (78, 82),
    function_role: (79,),
    ec2_role: (80,),
    notebook_role: (82,),
}


def there(role: Role, **fields: Any) -> State:
    return State(fields={**role.desired(), **fields}, attributes={"arn": f"arn:{role.name}"}, tags=TAGS)


def operations(step: Step) -> list[str]:
    return [act.operation for act in step.acts if isinstance(act, Request)]


def one(name: str = "kennel-local-training", **changed: Any) -> Role:
    policy = document([allow("Read", ["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::a"])])
    return Role(**{"name": name, "trust": {"v": 1}, "policy": policy, "tags": TAGS, **changed})


@pytest.mark.parametrize("make", RULES)
def test_every_role_is_created_once_and_then_unchanged(settings: Settings, make: Any, golden: Golden) -> None:
    role = make(settings)
    step = role.plan(None)
    assert operations(step) == ["CreateRole", "PutRolePolicy"]
    for act in step.acts:
        golden(role.name.removeprefix("kennel-local-"), act, rules=RULES[make])
    assert role.plan(there(role)).action == "none"


@pytest.mark.parametrize(
    ("field", "operation"), [("trust", "UpdateAssumeRolePolicy"), ("policy", "PutRolePolicy"), ("boundary", "")]
)
def test_only_the_parts_of_a_role_that_differ_are_updated(field: str, operation: str) -> None:
    role = one(boundary=BOUNDARY)
    step = role.plan(there(role, **{field: None}))
    assert operations(step) == [operation or "PutRolePermissionsBoundary"]
    assert step.action == "update"


def test_aws_accepts_every_request_that_changes_a_role(golden: Golden) -> None:
    bound = one(boundary=BOUNDARY)
    golden("bound", bound.plan(None).acts[0])
    golden("bound", bound.plan(there(bound, boundary="")).acts[0])
    golden("unbound", one().plan(there(one(), boundary=BOUNDARY)).acts[0])
    golden("trust", one().plan(there(one(), trust={})).acts[0])
    for act in one().remove().acts:
        golden("role", act)


def test_a_plan_says_which_rights_are_gained_and_lost_and_on_what() -> None:
    now = one(policy=document([allow("Read", ["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::b"])]))
    step = now.plan(there(one(), policy=one().policy))
    assert step.touches.splitlines() == [
        "+ s3:GetObject, s3:PutObject on arn:aws:s3:::b",
        "- s3:GetObject, s3:ListBucket on arn:aws:s3:::a",
    ]


def test_a_right_under_another_condition_is_another_right() -> None:
    actions, places = ["iam:PassRole"], ["arn:aws:iam::1:role/r"]
    before = document([allow("Pass", actions, places)])
    after = document([allow("Pass", actions, places, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})])
    step = one(policy=after).plan(there(one(), policy=before))
    assert step.touches.splitlines() == [
        "+ iam:PassRole on arn:aws:iam::1:role/r where iam:PassedToService is sagemaker.amazonaws.com",
        "- iam:PassRole on arn:aws:iam::1:role/r",
    ]


def test_a_new_role_shows_all_its_rights(settings: Settings) -> None:
    lines = (function_role(settings).plan(None).touches).splitlines()
    assert "+ sagemaker:InvokeEndpoint on arn:aws:sagemaker:us-east-1:123456789012:endpoint/kennel-local" in lines
    assert all(line.startswith("+ ") for line in lines)


def test_a_changed_trust_policy_changes_no_right() -> None:
    step = one().plan(there(one(), trust={}))
    assert step.touches == "the same rights for others, or within other bounds"


def test_a_role_without_its_policy_gets_it_back(settings: Settings) -> None:
    role = training_role(settings)
    step = role.plan(there(role, policy=None))
    assert operations(step) == ["PutRolePolicy"]
    assert "+ s3:GetObject on" in step.touches


def test_a_role_is_read_with_its_policy_tags_and_boundary() -> None:
    role = one(boundary=BOUNDARY)
    found = {
        "Arn": "arn:one",
        "AssumeRolePolicyDocument": role.trust,
        "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BOUNDARY},
        "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
    }
    aws = FakeAws({"GetRole": {"Role": found}, "GetRolePolicy": {"PolicyDocument": json.dumps(role.policy)}})
    observed = role.read(aws)
    assert observed is not None
    assert role.plan(observed).action == "none"
    assert role.plan(replace(observed, tags=TAGS)).action == "none"


def test_every_role_gets_the_boundary_of_the_settings(settings: Settings) -> None:
    bounded = settings.model_copy(update={"iam": Iam(permissions_boundary=BOUNDARY)})
    for make in RULES:
        assert make(bounded).boundary == BOUNDARY
        create = make(bounded).plan(None).acts[0]
        assert isinstance(create, Request)
        assert create.params["PermissionsBoundary"] == BOUNDARY
