"""Functions, their states, settings and concurrency on an in-memory engine."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud.awslambda.emulator import outcome
from localcloud.awslambda.environments import IDLE_SECONDS, Gate, Pool
from localcloud.errors import ApiError
from tests.unit.localcloud.awslambda.fakes import ARN, World
from tests.unit.localcloud.sagemaker.hosting.fakes import Clock


def test_a_function_is_pending_then_active_and_pending_blocks_everything() -> None:
    world = World()
    assert world.create()["State"] == "Pending"
    for operation in ("Invoke", "UpdateFunctionConfiguration", "PublishVersion"):
        said = world.refused(operation)
        assert (said.code, said.status) == ("ResourceConflictException", 409)
        assert "Pending" in said.message
    world.later.run()
    config = world.do("GetFunctionConfiguration")
    assert (config["State"], config["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in config


def test_a_tag_is_resolved_when_the_code_is_set_and_not_later() -> None:
    world = World()
    world.active()
    assert world.do("GetFunction")["Code"]["ResolvedImageUri"] == "fn@sha256:fn:1"
    world.call()
    assert world.engine.specs[-1].image == "sha256:fn:1"
    assert world.do("UpdateFunctionCode", ImageUri="fn:2")["LastUpdateStatus"] == "InProgress"
    assert "update is in progress" in world.refused("UpdateFunctionConfiguration", Timeout=5).message
    world.later.run()
    world.call()
    assert world.engine.specs[-1].image == "sha256:fn:2"
    assert world.engine.running() == ["sha256:fn:2"]


def test_a_sandbox_is_unprivileged_read_only_bounded_and_told_who_it_is() -> None:
    world = World()
    world.active(MemorySize=512, Timeout=9, Environment={"Variables": {"MINE": "1"}})
    world.call()
    spec = world.engine.specs[-1]
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
    ("params", "told"),
    [
        ({"PackageType": "Zip"}, "container images only"),
        ({"Code": {"ImageUri": "none:1"}}, "does not exist"),
        ({"Runtime": "python3.13"}, "Runtime"),
        ({"Timeout": 901}, "900"),
        ({"MemorySize": 10241}, "10240"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"A": "x" * 4096}}}, "4KB"),
    ],
)
def test_what_lambda_refuses_is_refused_when_the_function_is_made(params: dict[str, Any], told: str) -> None:
    world = World()
    with pytest.raises(ApiError, match=told) as caught:
        world.create(**params)
    assert caught.value.code == "InvalidParameterValueException"


def test_an_image_for_another_architecture_fails_the_function() -> None:
    world = World()
    world.active(Architectures=["arm64"])
    config = world.do("GetFunctionConfiguration")
    assert config["State"] == "Failed"
    assert "amd64" in config["StateReason"]


def test_a_function_is_found_by_name_partial_and_whole_arn() -> None:
    world = World()
    world.active()
    for name in ("f", "123456789012:function:f", ARN, f"{ARN}:$LATEST", "f:$LATEST", "function:f"):
        assert world.do("GetFunctionConfiguration", FunctionName=name)["FunctionArn"] == ARN
    said = world.refused("GetFunction", FunctionName="g")
    assert (said.status, said.message) == (404, f"Function not found: {ARN[:-1]}g")
    with pytest.raises(ApiError, match="already exist"):
        world.create()


def test_versions_are_frozen_and_unchanged_code_is_not_published_twice() -> None:
    world = World()
    world.active(Environment={"Variables": {"R": "1"}})
    assert world.do("PublishVersion")["Version"] == "1"
    world.later.run()
    assert world.do("PublishVersion")["Version"] == "1"
    world.do("UpdateFunctionConfiguration", Environment={"Variables": {"R": "2"}})
    world.later.run()
    assert world.do("PublishVersion")["Version"] == "2"
    world.later.run()
    frozen = world.do("GetFunctionConfiguration", Qualifier="1")
    assert frozen["Environment"]["Variables"] == {"R": "1"}
    assert frozen["State"] == "Active"
    assert [row["Version"] for row in world.do("ListVersionsByFunction")["Versions"]] == ["$LATEST", "1", "2"]
    assert world.refused("PublishVersion", RevisionId="other").status == 412


def test_an_alias_splits_its_traffic_by_its_routing_weights() -> None:
    world = World()
    world.active()
    world.do("PublishVersion")
    world.later.run()
    world.do("UpdateFunctionConfiguration", Timeout=9)
    world.later.run()
    world.do("PublishVersion")
    world.later.run()
    world.do("CreateAlias", Name="live", FunctionVersion="1")
    assert world.refused("CreateAlias", Name="live", FunctionVersion="1").status == 409
    assert world.refused("CreateAlias", Name="bad", FunctionVersion="7").status == 404
    world.do("UpdateAlias", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    world.point = 0.5
    assert world.call(Qualifier="live")["ExecutedVersion"] == "1"
    world.point = 0.9
    assert world.call(Qualifier="live")["said"]["version"] == "2"
    assert world.refused("DeleteFunction", Qualifier="1").code == "ResourceConflictException"
    world.do("DeleteAlias", Name="live")
    world.do("DeleteFunction", Qualifier="1")
    assert world.refused("Invoke", Qualifier="1").status == 404


def test_an_environment_is_used_again_and_one_that_died_is_not() -> None:
    world = World()
    world.active()
    first, second = world.call(), world.call()
    assert first["said"]["container"] == second["said"]["container"]
    died = world.call({"die": 1})
    assert died["FunctionError"] == "Unhandled"
    assert died["said"]["errorType"] == "Runtime.ExitError"
    assert first["said"]["container"] not in world.engine.served
    assert world.call()["said"]["container"] != first["said"]["container"]


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
def test_results_and_failures_are_told_apart(status: int, body: bytes, failed: bool) -> None:
    assert (outcome(status, body).error == "Unhandled") is failed


def test_payloads_are_limited_and_must_be_json() -> None:
    world = World()
    world.active()
    large = b'"' + b"x" * 1_048_575 + b'"'
    assert world.do("Invoke", Payload=large)["StatusCode"] == 200
    assert world.refused("Invoke", Payload=large, InvocationType="Event").status == 413
    assert world.refused("Invoke", Payload=b'"' + b"x" * 6_291_455 + b'"').code == "RequestTooLargeException"
    assert world.refused("Invoke", Payload=b"{").code == "InvalidRequestContentException"
    assert world.do("Invoke", InvocationType="DryRun") == {"StatusCode": 204, "ExecutedVersion": "$LATEST"}


def test_an_asynchronous_event_is_tried_three_times_and_waits_while_throttled() -> None:
    world = World()
    world.active()
    world.do("PutFunctionConcurrency", ReservedConcurrentExecutions=0)
    assert world.do("Invoke", InvocationType="Event", Payload=b'{"die": 1}') == {"StatusCode": 202}

    def allow(_: float) -> None:
        world.do("DeleteFunctionConcurrency")

    world.clock.on_wait = allow
    world.later.run()
    assert world.clock.waits == [1.0, 1.0, 2.0]
    assert len(world.engine.specs) == 3


def test_the_gate_lets_in_as_many_as_are_reserved() -> None:
    gate = Gate(reserved=2)
    gate.enter()
    gate.enter()
    with pytest.raises(ApiError) as caught:
        gate.enter()
    assert (caught.value.code, caught.value.status) == ("TooManyRequestsException", 429)
    assert caught.value.members["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    gate.leave()
    gate.enter()
    free = Gate()
    for _ in range(10):
        free.enter()
    with pytest.raises(ApiError, match="Rate Exceeded"):
        free.enter()


def test_a_hundred_must_stay_unreserved_in_the_account() -> None:
    world = World()
    world.active()
    world.active(FunctionName="g")
    world.do("PutFunctionConcurrency", FunctionName="g", ReservedConcurrentExecutions=890)
    assert world.do("GetAccountSettings")["AccountLimit"]["UnreservedConcurrentExecutions"] == 110
    said = world.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=11)
    assert "below its minimum value of [100]" in said.message
    assert world.do("PutFunctionConcurrency", ReservedConcurrentExecutions=10) == {"ReservedConcurrentExecutions": 10}


@dataclass(eq=False)
class Thing:
    idle_since: float = 0.0


def test_idle_environments_are_reaped_down_to_what_is_provisioned() -> None:
    clock, ended = Clock(), list[Thing]()
    pool = Pool[Thing](start=Thing, end=ended.append, clock=clock)
    pool.warm(2)
    taken = [pool.take() for _ in range(3)]
    for thing in taken:
        pool.give_back(thing)
    clock.now = IDLE_SECONDS + 1
    pool.reap()
    assert len(ended) == 1
    assert len(pool.idle) == 2
    pool.floor = 0
    pool.reap()
    assert len(ended) == 3


def test_a_closed_pool_ends_busy_environments_when_they_come_back() -> None:
    ended = list[Thing]()
    pool = Pool[Thing](start=Thing, end=ended.append, clock=Clock())
    thing = pool.take()
    pool.close()
    assert ended == []
    pool.give_back(thing)
    assert ended == [thing]


def test_provisioned_concurrency_is_in_progress_until_its_environments_run() -> None:
    world = World()
    world.active()
    world.do("PublishVersion")
    world.later.run()
    said = world.refused("PutProvisionedConcurrencyConfig", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
    assert "unpublished" in said.message
    asked = world.do("PutProvisionedConcurrencyConfig", Qualifier="1", ProvisionedConcurrentExecutions=2)
    assert asked["Status"] == "IN_PROGRESS"
    world.later.run()
    assert world.do("GetProvisionedConcurrencyConfig", Qualifier="1")["Status"] == "READY"
    assert len(world.engine.running()) == 2
    said = world.refused("PutFunctionConcurrency", ReservedConcurrentExecutions=1)
    assert "provisioned" in said.message
    world.do("DeleteProvisionedConcurrencyConfig", Qualifier="1")
    assert world.refused("GetProvisionedConcurrencyConfig", Qualifier="1").status == 404


def test_permissions_make_the_policy_that_lambda_would_show() -> None:
    world = World()
    world.active()
    assert world.refused("GetPolicy").status == 404
    url = {"Principal": "*", "FunctionUrlAuthType": "NONE"}
    world.do("AddPermission", StatementId="url", Action="lambda:InvokeFunctionUrl", **url)
    world.do(
        "AddPermission", StatementId="fn", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    world.do("AddPermission", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    assert world.refused("AddPermission", StatementId="s3", Action="lambda:*", Principal="*").status == 409
    first, second, third = json.loads(world.do("GetPolicy")["Policy"])["Statement"]
    assert first["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    assert second["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert third["Principal"] == {"Service": "s3.amazonaws.com"}
    assert third["Resource"] == ARN
    world.do("RemovePermission", StatementId="url")
    assert world.refused("RemovePermission", StatementId="url").status == 404


def test_a_url_and_tags_are_kept_with_the_function() -> None:
    world = World()
    world.active(Tags={"project": "kennel"})
    made = world.do("CreateFunctionUrlConfig", AuthType="NONE")
    assert made["FunctionUrl"].startswith("http://127.0.0.1:4566/")
    assert world.refused("CreateFunctionUrlConfig", AuthType="NONE").status == 409
    assert world.do("GetFunctionUrlConfig")["AuthType"] == "NONE"
    world.do("DeleteFunctionUrlConfig")
    assert world.refused("GetFunctionUrlConfig").status == 404
    world.do("TagResource", Resource=ARN, Tags={"stage": "local"})
    world.do("UntagResource", Resource=ARN, TagKeys=["project"])
    assert world.do("ListTags", Resource=ARN) == {"Tags": {"stage": "local"}}
    assert world.do("GetFunction")["Tags"] == {"stage": "local"}
