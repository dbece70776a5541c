"""Reserved and provisioned concurrency, and aliases with provisioned concurrency that move to a new version."""

from typing import Any

import pytest

from localcloud.service_quotas.limits import Quotas
from tests.unit.localcloud.awslambda.fakes import Fakes

PUT = "PutProvisionedConcurrencyConfig"


@pytest.fixture
def fakes() -> Fakes:
    """Two versions of a function. The alias live points to the first and keeps two environments warm."""
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


def test_a_provisioned_alias_sends_no_traffic_to_the_new_version_before_it_is_warm(fakes: Fakes) -> None:
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
    ("operation", "params", "code", "message"),
    [
        ("UpdateAlias", {"Name": "live", "FunctionVersion": "1"}, "InvalidParameterValueException", "already included"),
        (PUT, {"Qualifier": "live", "ProvisionedConcurrentExecutions": 1}, "InvalidParameterValueException", "weights"),
        ("DeleteFunction", {"Qualifier": "1"}, "ResourceConflictException", "alias"),
    ],
)
def test_a_moving_alias_cannot_be_changed(
    fakes: Fakes, operation: str, params: dict[str, Any], code: str, message: str
) -> None:
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    refusal = fakes.refused(operation, **params)
    assert (refusal.code, message in refusal.message) == (code, True)


def test_a_third_version_must_wait_until_the_alias_has_moved_to_the_second(fakes: Fakes) -> None:
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    fakes.do("UpdateFunctionCode", ImageUri="fn:1")
    work = fakes.later.work
    fakes.later.work = [each for each in work if "live" not in each[1]]
    fakes.later.run()
    fakes.do("PublishVersion")
    assert fakes.refused("UpdateAlias", Name="live", FunctionVersion="3").code == "ResourceConflictException"


def test_traffic_stays_with_the_old_version_when_the_new_one_does_not_start(fakes: Fakes) -> None:
    fakes.engine.refused.add("sha256:fn:2")
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    fakes.later.run()
    assert status(fakes)["Status"] == "FAILED"
    assert "FUNCTION_ERROR_INIT_FAILURE" in status(fakes)["StatusReason"]
    assert fakes.do("GetAlias", Name="live")["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in fakes.do("GetAlias", Name="live")


def test_a_version_and_its_alias_cannot_both_have_provisioned_concurrency(fakes: Fakes) -> None:
    refusal = fakes.refused(PUT, Qualifier="1", ProvisionedConcurrentExecutions=1)
    assert refusal.message == "Version is pointed by a Provisioned Concurrency alias"
    fakes.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=1)
    fakes.do("CreateAlias", Name="other", FunctionVersion="2")
    refusal = fakes.refused(PUT, Qualifier="other", ProvisionedConcurrentExecutions=1)
    assert (refusal.code, "already Provisioned version" in refusal.message) == ("ResourceConflictException", True)
    fakes.do("CreateAlias", Name="latest", FunctionVersion="$LATEST")
    assert "unpublished" in fakes.refused(PUT, Qualifier="latest", ProvisionedConcurrentExecutions=1).message


def test_provisioned_concurrency_stays_within_reserved_concurrency(fakes: Fakes) -> None:
    refusal = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "should not be lower than function's total provisioned concurrency [2]" in refusal.message
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=3)
    assert (
        "greater than the reserved" in fakes.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=4).message
    )
    fakes.do(PUT, Qualifier="live", ProvisionedConcurrentExecutions=1)
    fakes.later.run()
    assert len(fakes.engine.running()) == 1
    assert fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=1) == {"ReservedConcurrentExecutions": 1}


def test_provisioned_concurrency_without_a_reservation_counts_against_the_account(fakes: Fakes) -> None:
    assert fakes.do("GetAccountSettings")["AccountLimit"]["UnreservedConcurrentExecutions"] == 998
    refusal = fakes.refused(PUT, Qualifier="live", ProvisionedConcurrentExecutions=901)
    assert refusal.message.startswith("Specified ConcurrentExecutions for function decreases")


def test_a_new_account_has_ten_concurrent_executions_and_can_reserve_none() -> None:
    fakes = Fakes(quotas=Quotas(limited=True))
    fakes.active()
    assert fakes.do("GetAccountSettings")["AccountLimit"]["ConcurrentExecutions"] == 10
    refusal = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "below its minimum value of [10]" in refusal.message


def test_deleting_an_alias_deletes_its_environments_and_url(fakes: Fakes) -> None:
    fakes.do("CreateFunctionUrlConfig", Qualifier="live", AuthType="AWS_IAM")
    fakes.do("DeleteAlias", Name="live")
    assert fakes.engine.running() == []
    assert fakes.do("ListProvisionedConcurrencyConfigs")["ProvisionedConcurrencyConfigs"] == []
    assert fakes.do("ListFunctionUrlConfigs")["FunctionUrlConfigs"] == []


def test_publish_refuses_another_revision_or_other_code_than_the_request_names() -> None:
    fakes = Fakes()
    fakes.active()
    first = fakes.do("GetFunctionConfiguration")
    fakes.do("UpdateFunctionConfiguration", Timeout=9)
    fakes.later.run()
    assert fakes.refused("PublishVersion", RevisionId=first["RevisionId"]).code == "PreconditionFailedException"
    assert "is different from current CodeSHA256" in fakes.refused("PublishVersion", CodeSha256="other").message
    now = fakes.do("GetFunctionConfiguration")
    assert fakes.do("PublishVersion", CodeSha256=now["CodeSha256"], RevisionId=now["RevisionId"])["Version"] == "1"
