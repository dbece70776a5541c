"""Reserved and provisioned concurrency, and aliases with provisioned concurrency that move to a new version."""

from collections.abc import Callable
from typing import Any

import pytest

from localcloud.awslambda.environments import ConcurrencyLimit
from localcloud.errors import ApiError
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
    assert status(fakes)["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"
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
    assert refusal.message == (
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    )
    assert refusal.members == {}
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


Change = Callable[[Fakes], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda fakes: fakes.do("DeleteFunction"),
        lambda fakes: fakes.do("DeleteProvisionedConcurrencyConfig", Qualifier="2"),
    ],
)
@pytest.mark.parametrize("moment", ["before", "while"])
def test_no_environment_outlives_its_provisioned_concurrency(fakes: Fakes, change: Change, moment: str) -> None:
    fakes.do("DeleteAlias", Name="live")
    fakes.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=3)
    if moment == "before":
        change(fakes)
    else:
        fakes.engine.on_run = lambda: change(fakes)
    fakes.later.run()
    assert fakes.engine.running() == []


def test_a_smaller_configuration_stops_the_start_of_the_larger_one(fakes: Fakes) -> None:
    fakes.do("DeleteAlias", Name="live")
    fakes.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=5)
    fakes.engine.on_run = lambda: fakes.do(PUT, Qualifier="2", ProvisionedConcurrentExecutions=1)
    fakes.later.run()
    assert len(fakes.engine.running()) == 1
    config = fakes.do("GetProvisionedConcurrencyConfig", Qualifier="2")
    assert (config["Status"], config["AvailableProvisionedConcurrentExecutions"]) == ("READY", 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda fakes: fakes.do("DeleteProvisionedConcurrencyConfig", Qualifier="live"),
        lambda fakes: fakes.do("DeleteAlias", Name="live"),
    ],
)
@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_moving_alias_leaves_no_environment_of_either_version(fakes: Fakes, change: Change, moment: str) -> None:
    fakes.do("UpdateAlias", Name="live", FunctionVersion="2")
    if moment == "before":
        change(fakes)
    else:
        fakes.engine.on_run = lambda: change(fakes)
    fakes.later.run()
    assert fakes.engine.running() == []


def test_what_is_provisioned_is_not_there_for_other_versions(fakes: Fakes) -> None:
    """Recorded from AWS: localstack/localstack, tests/aws/services/lambda_/test_lambda.snapshot.json,
    test_lambda_concurrency_block and test_reserved_provisioned_overlap."""
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=2)
    refusal = fakes.refused("Invoke")
    assert (refusal.code, refusal.status) == ("TooManyRequestsException", 429)
    assert refusal.members["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert fakes.call(Qualifier="live")["ExecutedVersion"] == "1"
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=3)
    assert fakes.call()["ExecutedVersion"] == "$LATEST"


def test_a_version_takes_from_the_shared_part_when_its_own_is_busy() -> None:
    limit = ConcurrencyLimit(reserved=3)
    for _ in range(3):
        limit.enter("1", {"1": 2})
    for version in ("1", "2"):
        with pytest.raises(ApiError, match="Rate Exceeded"):
            limit.enter(version, {"1": 2})
    limit.leave("1")
    limit.enter("2", {"1": 2})


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
