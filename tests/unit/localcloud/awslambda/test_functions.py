"""Lambda functions on an in-memory engine: states, versions, aliases, invocations, environments, settings."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud.awslambda.emulator import outcome
from localcloud.awslambda.environments import IDLE_SECONDS, ConcurrencyLimit, Pool
from localcloud.errors import ApiError
from tests.unit.localcloud.awslambda.fakes import ARN, Fakes
from tests.unit.localcloud.sagemaker.hosting.fakes import Clock


def test_a_function_is_pending_then_active_and_pending_blocks_everyenvironment() -> None:
    fakes = Fakes()
    assert fakes.create()["State"] == "Pending"
    for operation in ("Invoke", "UpdateFunctionConfiguration", "PublishVersion"):
        refusal = fakes.refused(operation)
        assert (refusal.code, refusal.status) == ("ResourceConflictException", 409)
        assert "Pending" in refusal.message
    fakes.later.run()
    config = fakes.do("GetFunctionConfiguration")
    assert (config["State"], config["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in config


def test_a_tag_is_resolved_when_the_code_is_set_and_not_later() -> None:
    fakes = Fakes()
    fakes.active()
    assert fakes.do("GetFunction")["Code"]["ResolvedImageUri"] == "fn@sha256:fn:1"
    fakes.call()
    assert fakes.engine.specs[-1].image == "sha256:fn:1"
    assert fakes.do("UpdateFunctionCode", ImageUri="fn:2")["LastUpdateStatus"] == "InProgress"
    assert "update is in progress" in fakes.refused("UpdateFunctionConfiguration", Timeout=5).message
    fakes.later.run()
    fakes.call()
    assert fakes.engine.specs[-1].image == "sha256:fn:2"
    assert fakes.engine.running() == ["sha256:fn:2"]


def test_a_sandbox_is_unprivileged_read_only_limited_and_has_lambdas_environment() -> None:
    fakes = Fakes()
    fakes.active(MemorySize=512, Timeout=9, Environment={"Variables": {"MINE": "1"}})
    fakes.call()
    spec = fakes.engine.specs[-1]
    assert spec.entrypoint == ("/rie",)
    assert spec.command[-2:] == ("run", "handler")
    assert spec.read_only
    assert spec.user is not None
    assert not spec.user.startswith("0")
    assert set(spec.tmpfs) == {"/tmp"}
    assert spec.memory == 512 * 1024 * 1024
    assert spec.mounts[0].source == "/cache/rie"
    assert spec.environment["MINE"] == "1"
    assert spec.environment["AWS_LAMBDA_FUNCTION_TIMEOUT"] == "9"
    assert spec.environment["AWS_ENDPOINT_URL"] == "http://172.17.0.1:4566"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"PackageType": "Zip"}, "container images only"),
        ({"Tags": {str(number): "" for number in range(51)}}, "Number of tags exceeds resource tag limit."),
        ({"Code": {"ImageUri": "none:1"}}, "does not exist"),
        ({"Runtime": "python3.13"}, "Runtime"),
        ({"Timeout": 901}, "900"),
        ({"MemorySize": 10241}, "10240"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"A": "x" * 4096}}}, "4KB"),
    ],
)
def test_settings_that_lambda_refuses_are_refused_at_creation(params: dict[str, Any], message: str) -> None:
    fakes = Fakes()
    with pytest.raises(ApiError, match=message) as caught:
        fakes.create(**params)
    assert caught.value.code == "InvalidParameterValueException"


def test_an_image_for_another_architecture_fails_the_function() -> None:
    fakes = Fakes()
    fakes.active(Architectures=["arm64"])
    config = fakes.do("GetFunctionConfiguration")
    assert config["State"] == "Failed"
    assert "amd64" in config["StateReason"]


def test_a_function_is_found_by_name_partial_and_whole_arn() -> None:
    fakes = Fakes()
    fakes.active()
    for name in ("f", "123456789012:function:f", ARN, "function:f", "us-east-1:123456789012:function:f"):
        assert fakes.do("GetFunctionConfiguration", FunctionName=name)["FunctionArn"] == ARN
        latest = fakes.do("GetFunctionConfiguration", FunctionName=f"{name}:$LATEST")
        assert (latest["FunctionArn"], latest["Version"]) == (f"{ARN}:$LATEST", "$LATEST")
    refusal = fakes.refused("GetFunction", FunctionName="g")
    assert (refusal.status, refusal.message) == (404, f"Function not found: {ARN[:-1]}g")
    with pytest.raises(ApiError, match="already exist"):
        fakes.create()


def test_versions_are_frozen_and_unchanged_code_is_not_published_twice() -> None:
    fakes = Fakes()
    fakes.active(Environment={"Variables": {"R": "1"}})
    assert fakes.do("PublishVersion")["Version"] == "1"
    fakes.later.run()
    assert fakes.do("PublishVersion")["Version"] == "1"
    fakes.do("UpdateFunctionConfiguration", Environment={"Variables": {"R": "2"}})
    fakes.later.run()
    assert fakes.do("PublishVersion")["Version"] == "2"
    fakes.later.run()
    frozen = fakes.do("GetFunctionConfiguration", Qualifier="1")
    assert frozen["Environment"]["Variables"] == {"R": "1"}
    assert frozen["State"] == "Active"
    assert [row["Version"] for row in fakes.do("ListVersionsByFunction")["Versions"]] == ["$LATEST", "1", "2"]
    assert fakes.refused("PublishVersion", RevisionId="other").status == 412


def test_an_alias_splits_its_traffic_by_its_routing_weights() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.later.run()
    fakes.do("UpdateFunctionConfiguration", Timeout=9)
    fakes.later.run()
    fakes.do("PublishVersion")
    fakes.later.run()
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    assert fakes.refused("CreateAlias", Name="live", FunctionVersion="1").status == 409
    assert fakes.refused("CreateAlias", Name="bad", FunctionVersion="7").status == 404
    fakes.do("UpdateAlias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    fakes.point = 0.5
    assert fakes.call(Qualifier="live")["ExecutedVersion"] == "1"
    fakes.point = 0.9
    assert fakes.call(Qualifier="live")["result"]["version"] == "2"
    assert fakes.refused("DeleteFunction", Qualifier="1").code == "ResourceConflictException"
    fakes.do("DeleteAlias", Name="live")
    fakes.do("DeleteFunction", Qualifier="1")
    assert fakes.refused("Invoke", Qualifier="1").status == 404


def test_an_environment_is_reused_unless_it_died() -> None:
    fakes = Fakes()
    fakes.active()
    first, second = fakes.call(), fakes.call()
    assert first["result"]["container"] == second["result"]["container"]
    died = fakes.call({"die": 1})
    assert died["FunctionError"] == "Unhandled"
    assert died["result"]["errorType"] == "Runtime.ExitError"
    assert first["result"]["container"] not in fakes.engine.served
    assert fakes.call()["result"]["container"] != first["result"]["container"]


@pytest.mark.parametrize(
    ("status", "body", "failed"),
    [
        (200, b'{"errorMessage": "boom", "errorType": "ValueError", "stackTrace": []}', True),
        (200, b'{"errorMessage": "mine", "errorType": "x", "body": 1}', False),
        (200, b'{"errorMessage": "mine"}', False),
        (200, b"Task timed out after 1.00 seconds", True),
        (502, b'{"errorType": "Runtime.ExitError", "errorMessage": "x"}', True),
        (200, b'[{"errorMessage": "a", "errorType": "b"}]', False),
        (200, b"null", False),
    ],
)
def test_results_and_failures_are_distinguished(status: int, body: bytes, failed: bool) -> None:
    assert (outcome(status, body).error == "Unhandled") is failed


def test_payloads_are_limited_and_must_be_json() -> None:
    fakes = Fakes()
    fakes.active()
    large = b'"' + b"x" * 1_048_575 + b'"'
    assert fakes.do("Invoke", Payload=large)["StatusCode"] == 200
    assert fakes.refused("Invoke", Payload=large, InvocationType="Event").status == 413
    assert fakes.refused("Invoke", Payload=b'"' + b"x" * 6_291_455 + b'"').code == "RequestTooLargeException"
    assert fakes.refused("Invoke", Payload=b"{").code == "InvalidRequestContentException"
    assert fakes.do("Invoke", InvocationType="DryRun") == {"StatusCode": 204}


def test_an_asynchronous_event_is_tried_three_times_and_waits_while_throttled() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=0)
    assert fakes.do("Invoke", InvocationType="Event", Payload=b'{"die": 1}') == {"StatusCode": 202}

    def allow(_: float) -> None:
        fakes.do("DeleteFunctionConcurrency")

    fakes.clock.on_wait = allow
    fakes.later.run()
    assert fakes.clock.waits == [1.0, 1.0, 2.0]
    assert len(fakes.engine.specs) == 3


def test_the_limit_admits_as_many_invocations_as_are_reserved() -> None:
    limit = ConcurrencyLimit(reserved=2)
    limit.enter()
    limit.enter()
    with pytest.raises(ApiError) as caught:
        limit.enter()
    assert (caught.value.code, caught.value.status) == ("TooManyRequestsException", 429)
    assert caught.value.members["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    limit.leave()
    limit.enter()
    free = ConcurrencyLimit()
    for _ in range(10):
        free.enter()
    with pytest.raises(ApiError, match="Rate Exceeded"):
        free.enter()


def test_a_hundred_must_stay_unreserved_in_the_account() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.active(FunctionName="g")
    fakes.do("PutFunctionConcurrency", FunctionName="g", ReservedConcurrentExecutions=890)
    assert fakes.do("GetAccountSettings")["AccountLimit"]["UnreservedConcurrentExecutions"] == 110
    refusal = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=11)
    assert "below its minimum value of [100]" in refusal.message
    assert fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=10) == {"ReservedConcurrentExecutions": 10}


@dataclass(eq=False)
class Environment:
    idle_since: float = 0.0


def test_idle_environments_are_reaped_down_to_the_floor() -> None:
    clock, ended = Clock(), list[Environment]()
    pool = Pool[Environment](start=Environment, end=ended.append, clock=clock)
    pool.keep(2)
    pool.fill()
    taken = [pool.take() for _ in range(3)]
    for environment in taken:
        pool.give_back(environment)
    clock.now = IDLE_SECONDS + 1
    pool.reap()
    assert len(ended) == 1
    assert len(pool.idle) == 2
    pool.floor = 0
    pool.reap()
    assert len(ended) == 3


def test_a_closed_pool_ends_busy_environments_when_they_come_back() -> None:
    ended = list[Environment]()
    pool = Pool[Environment](start=Environment, end=ended.append, clock=Clock())
    environment = pool.take()
    pool.close()
    assert ended == []
    pool.give_back(environment)
    assert ended == [environment]


def test_an_environment_that_starts_after_its_pool_was_closed_is_ended() -> None:
    ended = list[Environment]()

    def start() -> Environment:
        pool.close()
        return Environment()

    pool = Pool[Environment](start=start, end=ended.append, clock=Clock())
    pool.keep(1)
    pool.fill()
    assert len(ended) == 1
    assert pool.idle == []


def test_provisioned_concurrency_is_in_progress_until_its_environments_run() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.later.run()
    refusal = fakes.refused("PutProvisionedConcurrencyConfig", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
    assert "unpublished" in refusal.message
    config = fakes.do("PutProvisionedConcurrencyConfig", Qualifier="1", ProvisionedConcurrentExecutions=2)
    assert config["Status"] == "IN_PROGRESS"
    fakes.later.run()
    assert fakes.do("GetProvisionedConcurrencyConfig", Qualifier="1")["Status"] == "READY"
    assert len(fakes.engine.running()) == 2
    refusal = fakes.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "provisioned" in refusal.message
    fakes.do("DeleteProvisionedConcurrencyConfig", Qualifier="1")
    assert fakes.refused("GetProvisionedConcurrencyConfig", Qualifier="1").status == 404


def test_permissions_build_the_policy_that_lambda_would_return() -> None:
    fakes = Fakes()
    fakes.active()
    assert fakes.refused("GetPolicy").status == 404
    url = {"Principal": "*", "FunctionUrlAuthType": "NONE"}
    fakes.do("AddPermission", StatementId="url", Action="lambda:InvokeFunctionUrl", **url)
    fakes.do(
        "AddPermission", StatementId="fn", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    fakes.do("AddPermission", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    assert fakes.refused("AddPermission", StatementId="s3", Action="lambda:*", Principal="*").status == 409
    first, second, third = json.loads(fakes.do("GetPolicy")["Policy"])["Statement"]
    assert first["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    assert second["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert third["Principal"] == {"Service": "s3.amazonaws.com"}
    assert third["Resource"] == ARN
    fakes.do("RemovePermission", StatementId="url")
    assert fakes.refused("RemovePermission", StatementId="url").status == 404


def test_a_url_and_tags_are_kept_with_the_function() -> None:
    fakes = Fakes()
    fakes.active(Tags={"project": "kennel"})
    made = fakes.do("CreateFunctionUrlConfig", AuthType="NONE")
    assert made["FunctionUrl"].startswith("http://127.0.0.1:4566/")
    assert fakes.refused("CreateFunctionUrlConfig", AuthType="NONE").status == 409
    assert fakes.do("GetFunctionUrlConfig")["AuthType"] == "NONE"
    fakes.do("DeleteFunctionUrlConfig")
    assert fakes.refused("GetFunctionUrlConfig").status == 404
    fakes.do("TagResource", Resource=ARN, Tags={"stage": "local"})
    fakes.do("UntagResource", Resource=ARN, TagKeys=["project"])
    assert fakes.do("ListTags", Resource=ARN) == {"Tags": {"stage": "local"}}
    assert fakes.do("GetFunction")["Tags"] == {"stage": "local"}
