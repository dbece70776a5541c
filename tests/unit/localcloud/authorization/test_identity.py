"""Who an access key belongs to, and which policies they have: from moto's records, in memory."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localcloud.authorization.identity import ROOT_KEYS, ExpiredSessionError, Identities, UnknownKeyError

ACCOUNT = "210987654321"
IDENTITIES = Identities(account=ACCOUNT)


def document(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam() -> Any:
    backend = iam_backends[ACCOUNT]["aws"]
    backend.reset()
    sts_backends[ACCOUNT]["aws"].reset()
    return iam_backends[ACCOUNT]["aws"]


def now() -> datetime:
    return datetime.now(UTC)


def role(iam: Any, name: str = "r", boundary: str | None = None) -> str:
    made = iam.create_role(
        role_name=name, assume_role_policy_document=document("sts:AssumeRole"), path="/", permissions_boundary=boundary,
        description="", tags=[{"Key": "team", "Value": "dogs"}], max_session_duration="3600",
    )  # fmt: skip
    return str(made.arn)


def session(arn: str, policy: str = "") -> Any:
    return sts_backends[ACCOUNT]["aws"].assume_role(
        region_name="us-east-1", role_session_name="s", role_arn=arn, policy=policy, duration=900, external_id=""
    )


def managed(iam: Any, name: str, action: str) -> Any:
    return iam.create_policy(
        description="", path="/", policy_document=document(action), policy_name=name, tags=[]
    )  # fmt: skip


def test_root_is_nobody_to_judge() -> None:
    assert all(IDENTITIES.find(key, "", now()) is None for key in ROOT_KEYS)


@pytest.mark.parametrize("key", ["", "AKIAUNKNOWNUNKNOWN00", "ASIAUNKNOWNUNKNOWN00", "x"])
def test_a_key_that_nobody_has_is_unknown(iam: Any, key: str) -> None:
    with pytest.raises(UnknownKeyError):
        IDENTITIES.find(key, "", now())


def test_a_user_has_their_own_policies_and_those_of_their_groups(iam: Any) -> None:
    user = iam.create_user("us-east-1", user_name="ann")
    iam.put_user_policy("ann", "inline", document("s3:GetObject"))
    iam.attach_user_policy(managed(iam, "attached", "s3:PutObject").arn, "ann")
    iam.create_group("team")
    iam.put_group_policy("team", "inline", document("ecr:*"))
    iam.add_user_to_group("team", "ann")
    key = iam.create_access_key("ann").access_key_id
    caller = IDENTITIES.find(key, "", now())
    assert caller is not None
    assert caller.arn == user.arn
    actions = {json.loads(each)["Statement"][0]["Action"] for each in caller.policies.identity}
    assert actions == {"s3:GetObject", "s3:PutObject", "ecr:*"}
    assert caller.context["aws:username"] == "ann"


def test_an_inactive_key_is_unknown(iam: Any) -> None:
    iam.create_user("us-east-1", user_name="ann")
    key = iam.create_access_key("ann").access_key_id
    iam.update_access_key("ann", key, "Inactive")
    with pytest.raises(UnknownKeyError):
        IDENTITIES.find(key, "", now())


def test_a_session_has_its_roles_policies_tags_boundary_and_its_own_policy(iam: Any) -> None:
    boundary = managed(iam, "bounds", "s3:*")
    arn = role(iam, boundary=boundary.arn)
    iam.put_role_policy("r", "inline", document("s3:GetObject"))
    begun = session(arn, policy=document("s3:Get*"))
    caller = IDENTITIES.find(begun.access_key_id, begun.session_token, now())
    assert caller is not None
    assert caller.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"
    assert caller.policies.identity == (document("s3:GetObject"),)
    assert json.loads(str(caller.policies.boundary)) == json.loads(document("s3:*"))
    assert caller.policies.session == document("s3:Get*")
    assert caller.context["aws:PrincipalTag/team"] == "dogs"
    assert caller.context["aws:PrincipalArn"] == arn


def test_a_newer_default_version_of_a_policy_counts(iam: Any) -> None:
    policy = managed(iam, "attached", "s3:PutObject")
    arn = role(iam)
    iam.attach_role_policy(policy.arn, "r")
    iam.create_policy_version(policy.arn, document("s3:DeleteObject"), "true")
    caller = IDENTITIES.of_role(arn, "SageMaker")
    assert [json.loads(each)["Statement"][0]["Action"] for each in caller.policies.identity] == ["s3:DeleteObject"]


def test_a_boundary_that_is_gone_allows_nothing(iam: Any) -> None:
    arn = role(iam, boundary=f"arn:aws:iam::{ACCOUNT}:policy/gone")
    assert json.loads(str(IDENTITIES.of_role(arn, "s").policies.boundary))["Statement"] == []


def test_a_session_of_a_role_that_is_gone_has_no_rights(iam: Any) -> None:
    arn = role(iam)
    begun = session(arn)
    iam.delete_role("r")
    caller = IDENTITIES.find(begun.access_key_id, "", now())
    assert caller is not None
    assert caller.policies.identity == ()


def test_a_session_with_another_token_is_unknown_and_an_old_one_has_expired(iam: Any) -> None:
    begun = session(role(iam))
    with pytest.raises(UnknownKeyError):
        IDENTITIES.find(begun.access_key_id, "another", now())
    with pytest.raises(ExpiredSessionError):
        IDENTITIES.find(begun.access_key_id, begun.session_token, now() + timedelta(seconds=901))
