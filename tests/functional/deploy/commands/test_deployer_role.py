"""The deployer's role over real HTTP: created once, updated where it differs, kept by `down` without its option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.commands.down import down
from deploy.config.general import Iam
from deploy.config.settings import choose, parse
from deploy.errors import DeployError
from deploy.stage.desired import foundation
from deploy.values import Plan
from tests.functional.deploy.commands.test_commands import Desk
from tests.functional.deploy.local_aws import local_aws
from tests.unit.deploy.conftest import TOML

CI = "arn:aws:iam::123456789012:role/ci"


@pytest.fixture
def url() -> Iterator[str]:
    with local_aws() as address:
        yield address


def desk(url: str, **iam: str) -> Desk:
    chosen = choose(parse(TOML.read_text()), "local")
    stage = chosen.stage.model_copy(update={"endpoint_url": url})
    return Desk(chosen.model_copy(update={"stage": stage, "iam": Iam(deployer_principal=CI, **iam)}))


def settle(at: Desk) -> Plan:
    return at.session.settle(foundation(at.session.settings))


def attached(at: Desk) -> list[str]:
    answer: dict[str, Any] = at.ask("iam", "ListAttachedRolePolicies", RoleName="kennel-local-deployer")
    return sorted(each["PolicyName"].rpartition("-")[2] for each in answer["AttachedPolicies"])


def test_it_is_created_with_its_policies_and_a_second_time_changes_nothing(url: str) -> None:
    at = desk(url)
    made = [step.address for step in settle(at).changes]
    assert made[-1] == "deployer/kennel-local-deployer"
    assert attached(at) == ["calling", "rights", "serving", "storage"]
    assert settle(at).changes == ()


def test_a_policy_changed_by_hand_is_restored(url: str) -> None:
    at = desk(url)
    settle(at)
    arn = "arn:aws:iam::123456789012:policy/kennel-local-deployer-rights"
    wide = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}'
    at.ask("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=wide, SetAsDefault=True)
    steps = settle(at).changes
    assert [step.address for step in steps] == ["policy/kennel-local-deployer-rights"]
    assert "- iam:* on *" in steps[0].touches.splitlines()
    assert settle(at).changes == ()


def test_down_keeps_it_without_the_option_and_deletes_all_of_it_with_the_option(url: str) -> None:
    at = desk(url)
    settle(at)
    kept = down(at.session, lambda _: True, also={"data"}).kept
    assert sorted(address.partition("/")[0] for address in kept) == ["deployer", *["policy"] * 4]
    gone = down(at.session, lambda _: True, also={"data", "deployer"}).gone
    assert [step.kind for step in gone] == ["deployer", *["policy"] * 4]
    assert at.ask("iam", "ListPolicies", Scope="Local")["Policies"] == []
    assert at.ask("iam", "ListRoles")["Roles"] == []


def test_somebody_elses_role_of_that_name_is_not_touched(url: str) -> None:
    at = desk(url)
    at.ask("iam", "CreateRole", RoleName="kennel-local-deployer", AssumeRolePolicyDocument="{}")
    with pytest.raises(DeployError, match="kennel-local-deployer: exists but does not carry the tags"):
        settle(at)


def test_every_role_is_made_within_the_boundary(url: str) -> None:
    bounds = "arn:aws:iam::123456789012:policy/bounds"
    document = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
    at = desk(url, permissions_boundary=bounds)
    at.ask("iam", "CreatePolicy", PolicyName="bounds", PolicyDocument=document)
    settle(at)
    role: Any = at.ask("iam", "GetRole", RoleName="kennel-local-training")["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == bounds
    assert settle(at).changes == ()
