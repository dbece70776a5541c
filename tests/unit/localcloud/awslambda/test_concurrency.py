"""Reserved and provisioned concurrency, and aliases that move with it, as Lambda has them."""

from typing import Any

import pytest

from localcloud.service_quotas.limits import Quotas
from tests.unit.localcloud.awslambda.fakes import Fakes

PUT = "PutProvisionedConcurrencyConfig"


@pytest.fixture
def fakes() -> Fakes:
    """Two versions of a function; the alias live is the first, with two environments kept warm."""
    made = Fakes()
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


def status(fakes: Fakes) -> dict[str, Any]:
    return fakes.do("GetProvisionedConcurrencyConfig", Qualifier="live")


def test_a_provisioned_alias_moves_when_the_new_version_is_warm_and_not_before(fakes: Fakes) -> None:
    answer = fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    assert answer["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    assert status(fakes)["Status"] == "IN_PROGRESS"
    fakes.point = 0.99
    assert fakes.call(Qualifier="live")["ExecutedVersion"] == "1"
    fakes.later.run()
    assert "RoutingConfig" not in fakes.do("GetAlias", Name="live")
    assert (status(fakes)["Status"], status(fakes)["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2)
    assert fakes.call(Qualifier="live")["ExecutedVersion"] == "2"
    assert fakes.engine.running() == ["sha256:fn:2", "sha256:fn:2"]


@pytest.mark.parametrize(
    ("operation", "params", "code", "told"),
    [
        ("UpdateAlias", {"Name": "live", "FunctionVersion": "1"}, "InvalidParameterValueException", "already included"),
        (PUT, {"Qualifier": "live", "ProvisionedConcurrentExecutions": 1}, "InvalidParameterValueException", "weights"),
        ("DeleteFunction", {"Qualifier": "1"}, "ResourceConflictException", "alias"),
    ],
)
def test_while_it_moves_nothing_else_about_it_can_change(
    fakes: Fakes, operation: str, params: dict[str, Any], code: str, told: str
) -> None:
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    said = fakes.refused(operation, **params)
    assert (said.code, told in said.message) == (code, True)


def test_a_third_version_has_to_wait_until_the_second_is_there(fakes: Fakes) -> None:
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    fakes.do("UpdateFunctionCode", ImageUri="fn:1")
    work = fakes.later.work
    fakes.later.work = [each for each in work if "live" not in each[1]]
    fakes.later.run()
    fakes.do("PublishVersion")
    assert fakes.refused("UpdateAlias", Name="live", FunctionVersion="3").code == "ResourceConflictException"


def test_where_the_new_version_cannot_be_made_warm_the_traffic_stays_with_the_old_one(fakes: Fakes) -> None:
    fakes.engine.refused.add("sha256:fn:2")
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    fakes.later.run()
    assert status(fakes)["Status"] == "FAILED"
    assert "FUNCTION_ERROR_INIT_FAILURE" in status(fakes)["StatusReason"]
    assert fakes.do("GetAlias", Name="live")["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in fakes.do("GetAlias", Name="live")


def test_a_version_is_provisioned_by_itself_or_by_an_alias_not_both(fakes: Fakes) -> None:
    said = fakes.refused(PUT, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert said.message == "Version is pointed by a Provisioned Concurrency alias"
    fakes.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=1)
    fakes.do("CreateAlias", Name="other", FunctionVersion="2")
    said = fakes.refused(PUT, Qualifier="other", ProvisionedConcurrentExecutions=1)
    assert (said.code, "already Provisioned version" in said.message) == ("ResourceConflictException", True)
    fakes.do("CreateAlias", Name="latest", FunctionVersion="$LATEST")
    assert "unpublished" in fakes.refused(PUT, Qualifier="latest", ProvisionedConcurrentExecutions=1).message


def test_what_is_provisioned_stays_within_what_is_reserved(fakes: Fakes) -> None:
    said = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "should not be lower than function's total provisioned concurrency [2]" in said.message
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=3)
    assert (
        "greater than the reserved" in fakes.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=4).message
    )
    fakes.do(PUT, Qualifier="live", ProvisionedConcurrentExecutions=1)
    fakes.later.run()
    assert len(fakes.engine.running()) == 1
    assert fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=1) == {"ReservedConcurrentExecutions": 1}


def test_what_is_provisioned_without_a_reservation_is_the_accounts(fakes: Fakes) -> None:
    assert fakes.do("GetAccountSettings")["AccountLimit"]["UnreservedConcurrentExecutions"] == 998
    said = fakes.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=901)
    assert said.message.startswith("Specified ConcurrentExecutions for function decreases")


def test_a_new_account_has_ten_and_none_of_them_to_reserve() -> None:
    fakes = Fakes(quotas=Quotas(limited=True))
    fakes.active()
    assert fakes.do("GetAccountSettings")["AccountLimit"]["ConcurrentExecutions"] == 10
    said = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "below its minimum value of [10]" in said.message


def test_an_alias_that_goes_takes_what_hangs_on_its_name_with_it(fakes: Fakes) -> None:
    fakes.do("CreateFunctionUrlConfig", Qualifier="live", AuthType="AWS_IAM")
    fakes.do("DeleteAlias", Name="live")
    assert fakes.engine.running() == []
    assert fakes.do("ListProvisionedConcurrencyConfigs")["ProvisionedConcurrencyConfigs"] == []
    assert fakes.do("ListFunctionUrlConfigs")["FunctionUrlConfigs"] == []


def test_only_the_code_and_the_revision_that_were_seen_are_published() -> None:
    fakes = Fakes()
    fakes.active()
    seen = fakes.do("GetFunctionConfiguration")
    fakes.do("UpdateFunctionConfiguration", Timeout=9)
    fakes.later.run()
    assert fakes.refused("PublishVersion", RevisionId=seen["RevisionId"]).code == "PreconditionFailedException"
    assert "is different from current CodeSHA256" in fakes.refused("PublishVersion", CodeSha256="other").message
    now = fakes.do("GetFunctionConfiguration")
    assert fakes.do("PublishVersion", CodeSha256=now["CodeSha256"], RevisionId=now["RevisionId"])["Version"] == "1"
