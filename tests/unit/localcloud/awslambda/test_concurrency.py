"""Reserved and provisioned concurrency, and aliases that move with it, as Lambda has them."""

from typing import Any

import pytest

from localcloud.service_quotas.limits import Quotas
from tests.unit.localcloud.awslambda.fakes import World

PUT = "PutProvisionedConcurrencyConfig"


@pytest.fixture
def world() -> World:
    """Two versions of a function; the alias live is the first, with two environments kept warm."""
    made = World()
    made.active()
    for image in ("fn:1", "fn:2"):
        made.do("UpdateFunctionCode", ImageUri=image)
        made.later.run()
        made.do("PublishVersion")
        made.later.run()
    made.do("CreateAlias", Name="live", FunctionVersion="1")
    made.do(PUT, Qualifier="live", ProvisionedConcurrentExecutions=2)
    made.later.run()
    return made


def status(world: World) -> dict[str, Any]:
    return world.do("GetProvisionedConcurrencyConfig", Qualifier="live")


def test_a_provisioned_alias_moves_when_the_new_version_is_warm_and_not_before(world: World) -> None:
    answer = world.do("UpdateAlias", Name="live", FunctionVersion="2")
    assert answer["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    assert status(world)["Status"] == "IN_PROGRESS"
    world.point = 0.99
    assert world.call(Qualifier="live")["ExecutedVersion"] == "1"
    world.later.run()
    assert "RoutingConfig" not in world.do("GetAlias", Name="live")
    assert (status(world)["Status"], status(world)["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    assert world.call(Qualifier="live")["ExecutedVersion"] == "2"
    assert world.engine.running() == ["sha256:fn:2", "sha256:fn:2"]


@pytest.mark.parametrize(
    ("operation", "params", "code", "told"),
    [
        ("UpdateAlias", {"Name": "live", "FunctionVersion": "1"}, "InvalidParameterValueException", "already included"),
        (PUT, {"Qualifier": "live", "ProvisionedConcurrentExecutions": 1}, "InvalidParameterValueException", "weights"),
        ("DeleteFunction", {"Qualifier": "1"}, "ResourceConflictException", "alias"),
    ],
)
def test_while_it_moves_nothing_else_about_it_can_change(
    world: World, operation: str, params: dict[str, Any], code: str, told: str
) -> None:
    world.do("UpdateAlias", Name="live", FunctionVersion="2")
    said = world.refused(operation, **params)
    assert (said.code, told in said.message) == (code, True)


def test_a_third_version_has_to_wait_until_the_second_is_there(world: World) -> None:
    world.do("UpdateAlias", Name="live", FunctionVersion="2")
    world.do("UpdateFunctionCode", ImageUri="fn:1")
    work = world.later.work
    world.later.work = [each for each in work if "live" not in each[1]]
    world.later.run()
    world.do("PublishVersion")
    assert world.refused("UpdateAlias", Name="live", FunctionVersion="3").code == "ResourceConflictException"


def test_where_the_new_version_cannot_be_made_warm_the_traffic_stays_with_the_old_one(world: World) -> None:
    world.engine.refused.add("sha256:fn:2")
    world.do("UpdateAlias", Name="live", FunctionVersion="2")
    world.later.run()
    assert status(world)["Status"] == "FAILED"
    assert "FUNCTION_ERROR_INIT_FAILURE" in status(world)["StatusReason"]
    assert world.do("GetAlias", Name="live")["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    world.do("UpdateAlias", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in world.do("GetAlias", Name="live")


def test_a_version_is_provisioned_by_itself_or_by_an_alias_not_both(world: World) -> None:
    said = world.refused(PUT, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert said.message == "Version is pointed by a Provisioned Concurrency alias"
    world.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=1)
    world.do("CreateAlias", Name="other", FunctionVersion="2")
    said = world.refused(PUT, Qualifier="other", ProvisionedConcurrentExecutions=1)
    assert (said.code, "already Provisioned version" in said.message) == ("ResourceConflictException", True)
    world.do("CreateAlias", Name="latest", FunctionVersion="$LATEST")
    assert "unpublished" in world.refused(PUT, Qualifier="latest", ProvisionedConcurrentExecutions=1).message


def test_what_is_provisioned_stays_within_what_is_reserved(world: World) -> None:
    said = world.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "should not be lower than function's total provisioned concurrency [2]" in said.message
    world.do("PutFunctionConcurrency", ReservedConcurrentExecutions=3)
    assert (
        "greater than the reserved" in world.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=4).message
    )
    world.do(PUT, Qualifier="live", ProvisionedConcurrentExecutions=1)
    world.later.run()
    assert len(world.engine.running()) == 1
    assert world.do("PutFunctionConcurrency", ReservedConcurrentExecutions=1) == {"ReservedConcurrentExecutions": 1}


def test_what_is_provisioned_without_a_reservation_is_the_accounts(world: World) -> None:
    assert world.do("GetAccountSettings")["AccountLimit"]["UnreservedConcurrentExecutions"] == 998
    said = world.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=901)
    assert said.message.startswith("Specified ConcurrentExecutions for function decreases")


def test_a_new_account_has_ten_and_none_of_them_to_reserve() -> None:
    world = World(quotas=Quotas(limited=True))
    world.active()
    assert world.do("GetAccountSettings")["AccountLimit"]["ConcurrentExecutions"] == 10
    said = world.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "below its minimum value of [10]" in said.message


def test_an_alias_that_goes_takes_what_hangs_on_its_name_with_it(world: World) -> None:
    world.do("CreateFunctionUrlConfig", Qualifier="live", AuthType="AWS_IAM")
    world.do("DeleteAlias", Name="live")
    assert world.engine.running() == []
    assert world.do("ListProvisionedConcurrencyConfigs")["ProvisionedConcurrencyConfigs"] == []
    assert world.do("ListFunctionUrlConfigs")["FunctionUrlConfigs"] == []


def test_only_the_code_and_the_revision_that_were_seen_are_published() -> None:
    world = World()
    world.active()
    seen = world.do("GetFunctionConfiguration")
    world.do("UpdateFunctionConfiguration", Timeout=9)
    world.later.run()
    assert world.refused("PublishVersion", RevisionId=seen["RevisionId"]).code == "PreconditionFailedException"
    assert "is different from current CodeSHA256" in world.refused("PublishVersion", CodeSha256="other").message
    now = world.do("GetFunctionConfiguration")
    assert world.do("PublishVersion", CodeSha256=now["CodeSha256"], RevisionId=now["RevisionId"])["Version"] == "1"
