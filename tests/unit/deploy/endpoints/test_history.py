"""An endpoint's history: what it can go back to, and how it goes there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.endpoints.endpoint_config import key_of, named
from deploy.endpoints.history import KEPT, extended, history, previous
from deploy.endpoints.rollback import step, target
from deploy.errors import DeployError
from deploy.values import State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.endpoints.fixtures import ARN, TAGS, endpoint_of, operations, requests, running, spec_of

NAME = "kennel-local"
SPEC = spec_of("")


@pytest.mark.parametrize(
    ("past", "at", "new", "after"),
    [
        ("", "", "a", "a"),
        ("", "a", "b", "a b"),
        ("a", "a", "b", "a b"),
        ("a b", "a", "b", "a b"),
        ("a b", "b", "a", "a b a"),
        ("a b c", "b", "c", "a b c"),
        ("a b", "x", "c", "a b x c"),
        ("a b c d e", "e", "f", "b c d e f"),
    ],
)
def test_a_deploy_extends_the_history_and_one_tried_again_does_not(past: str, at: str, new: str, after: str) -> None:
    assert " ".join(extended(past.split(), running=at, new=new)) == after


def test_the_longest_history_fits_into_a_tag() -> None:
    assert len(" ".join(["0123456789"] * KEPT)) <= 256


def observed(past: str, at: str, status: str = "InService") -> State:
    tags = {**TAGS, "kennel:history": past}
    return State(fields={"config": named(NAME, at)}, attributes={"arn": ARN}, tags=tags, status=status)


@pytest.mark.parametrize(
    ("past", "at", "to", "config", "is_there"),
    [
        ("a b", "b", "", "a", False),
        ("a b", "a", "", "a", True),
        ("a b c", "c", "", "b", False),
        ("a b c", "b", "a", "a", False),
        ("a b c", "c", f"{NAME}-a", "a", False),
        ("a b a", "a", "", "b", False),
    ],
)
def test_a_rollback_returns_to_the_version_before_the_last_deploy_and_can_be_repeated(
    past: str, at: str, to: str, config: str, is_there: bool
) -> None:
    back = target(SPEC, observed(past, at), to=to)
    assert (back.config, back.is_there) == (named(NAME, config), is_there)


@pytest.mark.parametrize(
    ("past", "to", "message"),
    [
        ("a", "", "deployed only once"),
        ("", "", "no earlier version to roll back to"),
        ("a b", "z", "was never at z; .* a, b"),
    ],
)
def test_a_rollback_without_an_earlier_version_is_refused(past: str, to: str, message: str) -> None:
    with pytest.raises(DeployError, match=message):
        target(SPEC, observed(past, "a"), to=to)


def test_a_rollback_is_an_update_that_keeps_the_capacity(golden: Golden) -> None:
    old, new = endpoint_of(""), endpoint_of("", image="kennel/serve:2")
    made = step(SPEC, running(new), old.config, serves=old.serves, reason="by hand")
    golden("rollback", requests(made)[0], rules=(53, 55))
    assert operations(made) == ["UpdateEndpoint", "(DescribeEndpoint)"]


def test_after_a_rollback_the_next_plan_deploys_again_and_the_history_stays() -> None:
    old, new = endpoint_of(""), endpoint_of("", image="kennel/serve:2")
    keys = [key_of(each.config) for each in (old, new)]
    tags = {**running(new).tags, "kennel:history": " ".join(keys)}
    back = replace(running(old), tags=tags)
    forward = new.plan(back)
    assert operations(forward) == ["AddTags", "UpdateEndpoint", "(DescribeEndpoint)"]
    assert history({"kennel:history": requests(forward)[0].params["Tags"][0]["Value"]})[-1] == keys[1]
    assert previous(history(tags)) == keys[0]


def test_a_deleted_configuration_and_an_endpoint_without_our_tags_are_refused() -> None:
    foreign = replace(SPEC, tags={"kennel:stage": "prod"})
    with pytest.raises(DeployError, match=r"no longer exists; \./inv deploy deploys"):
        step(SPEC, running(endpoint_of("")), "kennel-local-a", serves={}, reason="")
    with pytest.raises(DeployError, match="does not carry the tags"):
        step(foreign, observed("a b", "b"), "kennel-local-a", serves={"main": {}}, reason="")
