"""The deployer's role and its policies: created, changed and deleted, but never by the role itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.config.general import Iam
from deploy.config.settings import Settings, choose, parse
from deploy.errors import DeployError
from deploy.iam.deployer_role import DeployerRole, deployer_role
from deploy.iam.document import MANAGED_LIMIT, allow, as_list, document, managed, size, statements_of
from deploy.iam.managed_policy import ManagedPolicy
from deploy.iam.policies import deployer
from deploy.values import Request, State, Step
from tests.unit.deploy.conftest import TOML, Golden
from tests.unit.deploy.fakes import FakeAws

TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
CI = "arn:aws:iam::123456789012:role/ci"


@pytest.fixture
def taken(settings: Settings) -> Settings:
    return settings.model_copy(update={"iam": Iam(deployer_principal=CI)})


def role(settings: Settings) -> DeployerRole:
    return next(each for each in deployer_role(settings) if isinstance(each, DeployerRole))


def policy(settings: Settings) -> ManagedPolicy:
    return next(each for each in deployer_role(settings) if isinstance(each, ManagedPolicy))


def operations(step: Step) -> list[str]:
    return [act.operation for act in step.acts if isinstance(act, Request)]


def test_without_a_principal_there_is_no_role(settings: Settings) -> None:
    assert deployer_role(settings) == ()


def test_policies_come_before_the_role_that_attaches_them(taken: Settings, golden: Golden) -> None:
    found = deployer_role(taken)
    assert [each.address for each in found] == [
        "policy/kennel-local-deployer-storage",
        "policy/kennel-local-deployer-rights",
        "policy/kennel-local-deployer-serving",
        "policy/kennel-local-deployer-calling",
        "deployer/kennel-local-deployer",
    ]
    steps = [each.plan(None) for each in found]
    assert operations(steps[-1]) == ["CreateRole", *["AttachRolePolicy"] * 4]
    golden("deployer", steps[-1].acts[0])
    golden("deployer", steps[-1].acts[1])
    for each, step in zip(found[:-1], steps, strict=False):
        golden(each.address.removeprefix("policy/kennel-local-"), step.acts[0], rules=(52, 81))
    assert CI in steps[-1].touches


def test_a_changed_policy_gets_a_new_version_and_loses_the_old_one(taken: Settings, golden: Golden) -> None:
    desired = policy(taken)
    other = document([allow("Other", ["s3:GetObject"], ["arn:aws:s3:::other/*"])])
    observed = State(fields={"document": other}, attributes={"version": "v3"}, tags=TAGS)
    step = desired.plan(observed)
    assert operations(step) == ["CreatePolicyVersion", "DeletePolicyVersion"]
    assert step.acts[1].params["VersionId"] == "v3"  # type: ignore[union-attr]
    assert "- s3:GetObject on arn:aws:s3:::other/*" in step.touches.splitlines()
    for act in step.acts:
        golden("deployer", act)
    golden("deployer", desired.remove().acts[0])
    assert desired.plan(replace(observed, fields={"document": desired.document})).action == "none"


def test_a_policy_is_read_in_its_default_version(taken: Settings) -> None:
    desired = policy(taken)
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    aws = FakeAws(
        {
            "GetPolicy": {"Policy": {"DefaultVersionId": "v2", "Tags": tags}},
            "GetPolicyVersion": {"PolicyVersion": {"Document": desired.document}},
        }
    )
    assert desired.plan(desired.read(aws)).action == "none"
    assert aws.sent[1].params["VersionId"] == "v2"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"trust": {}}, ["UpdateAssumeRolePolicy"]),
        ({"policies": []}, ["AttachRolePolicy"] * 4),
        (
            {"policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
            [*["AttachRolePolicy"] * 4, "DetachRolePolicy"],
        ),
    ],
)
def test_the_role_has_its_own_policies_and_no_others(
    taken: Settings, fields: dict[str, Any], expected: list[str], golden: Golden
) -> None:
    desired = role(taken)
    step = desired.plan(State(fields={**desired.desired(), **fields}, tags=TAGS))
    assert operations(step) == expected
    if "DetachRolePolicy" in expected:
        golden("deployer", step.acts[-1])


def test_deleting_the_role_detaches_its_policies_first(taken: Settings) -> None:
    assert operations(role(taken).remove()) == [*["DetachRolePolicy"] * 4, "DeleteRole"]


def test_a_role_or_policy_without_our_tags_is_not_touched(taken: Settings) -> None:
    for desired in (policy(taken), role(taken)):
        with pytest.raises(DeployError, match="does not carry the tags"):
            desired.plan(State(tags={"team": "other"}))


def test_the_longest_names_fit_into_managed_policies() -> None:
    text = TOML.read_text().replace('name = "kennel"', f'name = "{"k" * 20}"').replace("[stages.local]", "[stages.s]")
    longest = choose(parse(text.replace("[stages.s]", f"[stages.{'s' * 19}]")), "s" * 19)
    assert all(size(found) <= MANAGED_LIMIT for found in deployer.policies(longest).values())


def test_a_policy_too_long_for_iam_is_refused_before_it_is_sent() -> None:
    long = document([allow("Long", ["s3:GetObject"], ["arn:aws:s3:::" + "b" * MANAGED_LIMIT])])
    with pytest.raises(DeployError, match="but IAM allows 6144; shorten"):
        managed(long, "long")


def test_white_space_is_not_counted() -> None:
    assert size({"a": [1, 2]}) == len('{"a":[1,2]}')


def test_a_role_may_be_passed_only_to_its_own_service(settings: Settings) -> None:
    passed = {
        (place.rpartition("-")[2], statement["Condition"]["StringEquals"]["iam:PassedToService"])
        for found in deployer.policies(settings).values()
        for statement in statements_of(found)
        if "iam:PassRole" in statement["Action"]
        for place in statement["Resource"]
    }
    assert passed == set(deployer.ASSUMED_BY.items())


def test_with_a_boundary_no_role_is_created_or_changed_without_it(settings: Settings) -> None:
    boundary = "arn:aws:iam::123456789012:policy/bounds"
    bounded = settings.model_copy(update={"iam": Iam(permissions_boundary=boundary)})
    found = [each for held in deployer.policies(bounded).values() for each in statements_of(held)]
    grow = [each for each in found if {"iam:CreateRole", "iam:PutRolePolicy"} & set(each["Action"])]
    assert [each["Condition"] for each in grow] == [{"StringEquals": {"iam:PermissionsBoundary": boundary}}]
    assert not [each for each in found if "iam:DeleteRolePermissionsBoundary" in each["Action"]]


def test_the_deployer_changes_every_role_but_its_own(settings: Settings) -> None:
    own = "arn:aws:iam::123456789012:role/kennel-local-deployer"
    on_itself = {
        action
        for found in deployer.policies(settings).values()
        for statement in statements_of(found)
        if own in as_list(statement["Resource"])
        for action in statement["Action"]
    }
    assert on_itself == {"iam:GetRole", "iam:GetRolePolicy", "iam:ListRoleTags", "iam:ListAttachedRolePolicies"}
