"""The inventory finds what is ours among neighbours, and goes on where it may not read."""

from __future__ import annotations

import pytest

from deploy.config.settings import Settings
from deploy.errors import AwsError
from deploy.images.recipe import KINDS as KINDS_OF_IMAGES
from deploy.planning.resource import ResourceKind
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME, KINDS
from deploy.values import Request
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.stage.account import NEIGHBOUR, OURS, Account

# Kinds whose neighbours AWS does not even list: they are asked for by tag, or by our name.
BY_TAG_OR_NAME = {"instance", "security-group", "repository", "bucket", "deployer"}
BY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))


def test_everything_of_ours_is_found_and_nothing_else(settings: Settings) -> None:
    assert tuple(inventory(settings, Account(), say=lambda _: None)) == OURS
    assert {address.partition("/")[0] for address in OURS} == set(BY_NAME)


def test_a_neighbour_of_each_kind_that_may_not_be_read_is_told_in_one_line(settings: Settings) -> None:
    told: list[str] = []
    inventory(settings, Account(), say=told.append)
    lines = [line.strip() for line in told]
    assert {line.partition("/")[0] for line in lines} == set(BY_NAME) - BY_TAG_OR_NAME
    assert all(NEIGHBOUR in line and "may not be read, so it is left alone" in line for line in lines)
    assert len(lines) == len(set(lines))


@BY_KIND
@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"])
def test_a_kind_of_which_nothing_may_be_asked_is_told_and_left_alone(
    settings: Settings, kind: ResourceKind, code: str
) -> None:
    told: list[str] = []
    assert inventory(settings, Account(is_denied=lambda _: True, code=code), [kind], say=told.append) == {}
    assert told == [f"   {kind.name}: may not be listed, so any that exist are left alone (test.Test: {code})"]


@BY_KIND
def test_another_refusal_ends_it(settings: Settings, kind: ResourceKind) -> None:
    with pytest.raises(AwsError, match="ExpiredToken"):
        inventory(settings, Account(is_denied=lambda _: True, code="ExpiredToken"), [kind], say=lambda _: None)


@BY_KIND
def test_every_question_about_ours_is_recorded(settings: Settings, golden: Golden, kind: ResourceKind) -> None:
    """So that the proof of the deployer's rights reads what `status` and `down` really ask."""
    account = Account()
    for address in inventory(settings, account, [kind], say=lambda _: None):
        kind.state(address.partition("/")[2], settings, account)
    first: dict[str, Request] = {}
    for request in account.sent:
        if NEIGHBOUR not in str(request.params):
            first.setdefault(request.operation, request)
    assert first
    for request in first.values():
        golden(f"inventory-{kind.name}", request)


def test_repositories_are_asked_for_by_name(settings: Settings) -> None:
    account = Account()
    assert list(BY_NAME["repository"].names(settings, account)) == ["kennel-local/serve", "kennel-local/train"]
    assert [request.params for request in account.sent] == [
        {"repositoryNames": [f"kennel-local/{image}"]} for image in KINDS_OF_IMAGES
    ]


def test_log_groups_go_after_everything_that_may_write_to_them() -> None:
    order = [kind.name for kind in KINDS]
    writers = ("function", "endpoint", "training-job", "transform-job", "notebook", "instance", "role")
    assert all(order.index(writer) < order.index("log-group") for writer in writers)
