"""Endpoints and InvokeEndpoint on an in-memory engine."""

from collections.abc import Mapping
from typing import Any

from localcloud.containers.http import BrokenError, Response, TimedOutError
from tests.unit.localcloud.sagemaker.hosting.fakes import Served, ServingEngine, healthy
from tests.unit.localcloud.sagemaker.hosting.fixtures import ARN, Fakes, one

# ---------------------------------------------------------------------------------------------- life


def test_an_endpoint_goes_from_creating_to_in_service_and_away() -> None:
    fakes = Fakes()
    fakes.model(ModelDataUrl="s3://models/a/model.tar.gz", Environment={"NAME": "x"})
    fakes.config("c", one(count=2))
    assert fakes.do("CreateEndpoint", EndpointName="E", EndpointConfigName="c")["EndpointArn"] == f"{ARN}endpoint/e"
    assert fakes.describe()["EndpointStatus"] == "Creating"
    assert fakes.describe()["ProductionVariants"][0]["VariantStatus"] == [{"Status": "Creating"}]
    assert fakes.describe()["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert "not found" in fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"").message
    assert "in-progress" in fakes.refused("DeleteEndpoint", EndpointName="E").message
    fakes.later.run()
    described = fakes.describe()
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert described["ProductionVariants"][0]["DeployedImages"][0]["ResolutionTime"] is not None
    spec = fakes.engine.specs[0]
    assert spec.command == ("serve",)
    assert spec.mounts[0].target == "/opt/ml/model"
    assert spec.mounts[0].read_only
    assert spec.environment["NAME"] == "x"
    assert [row["EndpointName"] for row in fakes.do("ListEndpoints", StatusEquals="InService")["Endpoints"]] == ["E"]
    assert fakes.do("ListEndpoints", StatusEquals="Failed")["Endpoints"] == []
    fakes.do("DeleteEndpoint", EndpointName="E")
    assert fakes.describe()["EndpointStatus"] == "Deleting"
    fakes.later.run()
    assert "Could not find endpoint" in fakes.refused("DescribeEndpoint", EndpointName="E").message
    assert fakes.engine.running() == []
    assert {grace for _, grace in fakes.engine.stopped} == {30}


def sick(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(status=500 if path == "/ping" else 200, headers={}, body=b"")


def test_an_endpoint_that_never_answers_ping_fails_after_its_startup_time_and_leaves_nothing() -> None:
    fakes = Fakes(ServingEngine(sick))
    fakes.endpoint(one(count=2, ContainerStartupHealthCheckTimeoutInSeconds=60))
    described = fakes.describe()
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "The primary container for production variant A did not pass the ping health check."
    )
    assert "last words" in described["FailureReason"]
    assert 60 <= fakes.clock.now < 130
    assert fakes.engine.served == {}


def test_a_container_that_docker_cannot_start_is_sagemakers_cannot_start_container_error() -> None:
    engine = ServingEngine()
    engine.refused.add("serve:1")
    fakes = Fakes(engine)
    fakes.endpoint()
    assert fakes.describe()["EndpointStatus"] == "Failed"
    assert fakes.describe()["FailureReason"].startswith("CannotStartContainerError.")
    error = fakes.refused("UpdateEndpoint", EndpointName="E", EndpointConfigName="c")
    assert "in status Failed" in error.message


def updated(fakes: Fakes, *variants: dict[str, Any], **params: Any) -> None:
    fakes.model("m2", "serve:2")
    fakes.config("c2", *(variants or (one(model="m2"),)))
    fakes.do("UpdateEndpoint", EndpointName="E", EndpointConfigName="c2", **params)


def test_an_update_starts_the_new_fleet_before_the_old_one_stops() -> None:
    fakes = Fakes()
    fakes.endpoint()
    updated(fakes)
    assert fakes.describe()["EndpointStatus"] == "Updating"
    assert fakes.describe()["PendingDeploymentSummary"]["EndpointConfigName"] == "c2"
    assert "in-progress" in fakes.refused("UpdateEndpoint", EndpointName="E", EndpointConfigName="c2").message
    assert fakes.ask()["Body"] == b"serve:1"
    fakes.later.run()
    assert fakes.describe()["EndpointStatus"] == "InService"
    assert fakes.describe()["EndpointConfigName"] == "c2"
    assert fakes.ask()["Body"] == b"serve:2"
    assert fakes.engine.running() == ["serve:2"]


def test_an_update_whose_containers_fail_keeps_the_old_fleet_and_says_why() -> None:
    fakes = Fakes()
    fakes.endpoint()
    fakes.engine.refused.add("serve:2")
    updated(fakes)
    fakes.later.run()
    described = fakes.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "c")
    assert "CannotStartContainerError" in described["FailureReason"]
    assert fakes.ask()["Body"] == b"serve:1"


def canary(**more: Any) -> dict[str, Any]:
    traffic = {
        "Type": "CANARY", "WaitIntervalInSeconds": 20, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
    }  # fmt: skip
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}} | more


def test_a_canary_gives_the_new_fleet_its_share_while_it_waits() -> None:
    fakes = Fakes()
    fakes.endpoint()
    answers = []

    def look(_: float) -> None:
        fakes.point = 0.05
        inside = fakes.ask()["Body"]
        fakes.point = 0.5
        answers.append((inside, fakes.ask()["Body"]))

    updated(fakes, DeploymentConfig=canary())
    fakes.clock.on_wait = look
    fakes.later.run()
    assert answers[0] == (b"serve:2", b"serve:1")
    assert answers[-1] == (b"serve:2", b"serve:2")
    assert fakes.describe()["LastDeploymentConfig"] == canary()


def test_an_alarm_during_the_bake_rolls_back() -> None:
    fakes = Fakes()
    fakes.endpoint()
    updated(fakes, DeploymentConfig=canary(AutoRollbackConfiguration={"Alarms": [{"AlarmName": "errors"}]}))
    fakes.clock.on_wait = lambda now: fakes.ringing.append("errors") if now > 5 else None
    fakes.later.run()
    described = fakes.describe()
    assert described["EndpointConfigName"] == "c"
    assert "errors" in described["FailureReason"]
    assert fakes.engine.running() == ["serve:1"]


def test_a_change_that_breaks_never_leaves_the_endpoint_in_progress() -> None:
    fakes = Fakes()
    fakes.endpoint()
    updated(fakes, DeploymentConfig=canary())

    def broken(_: float) -> None:
        raise OSError("no space left on device")

    fakes.clock.on_wait = broken
    fakes.later.run()
    fakes.clock.on_wait = lambda _: None
    described = fakes.describe()
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "c")
    assert "no space left on device" in described["FailureReason"]
    assert fakes.engine.running() == ["serve:1"]


def test_an_isolated_model_runs_on_a_network_that_leads_nowhere() -> None:
    fakes = Fakes()
    fakes.do("CreateModel", ModelName="m", PrimaryContainer={"Image": "serve:1"}, EnableNetworkIsolation=True)
    fakes.config("c", one(count=2))
    fakes.do("CreateEndpoint", EndpointName="E", EndpointConfigName="c")
    fakes.later.run()
    assert fakes.engine.isolated_networks == ["lc-test-isolated"]
    assert {(spec.network, spec.publish) for spec in fakes.engine.specs} == {("lc-test-isolated", ())}


def test_scaling_starts_and_stops_real_instances() -> None:
    fakes = Fakes()
    fakes.endpoint()
    for count in (3, 1):
        desired = [{"VariantName": "A", "DesiredInstanceCount": count}]
        fakes.do("UpdateEndpointWeightsAndCapacities", EndpointName="E", DesiredWeightsAndCapacities=desired)
        assert fakes.describe()["EndpointStatus"] == "Updating"
        fakes.later.run()
        assert len(fakes.engine.running()) == count
    desired = [{"VariantName": "A", "DesiredInstanceCount": 0}]
    error = fakes.refused("UpdateEndpointWeightsAndCapacities", EndpointName="E", DesiredWeightsAndCapacities=desired)
    assert "at least 1" in error.message
    assert fakes.describe()["EndpointStatus"] == "InService"


def test_a_dead_instance_is_replaced_and_meanwhile_requests_go_to_the_others() -> None:
    fakes = Fakes()
    fakes.endpoint(one(count=2))
    first = next(iter(fakes.engine.served.values()))
    first.running = False
    for _ in range(4):
        assert fakes.ask()["Body"] == b"serve:1"
    endpoint = fakes.endpoints.get("E")
    assert endpoint.fleet is not None
    endpoint.fleet.variants["A"].replace_dead()
    assert len(fakes.engine.running()) == 2
    assert first.id not in fakes.engine.served


def test_no_living_instance_is_503() -> None:
    fakes = Fakes()
    fakes.endpoint()
    next(iter(fakes.engine.served.values())).running = False
    error = fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x")
    assert (error.code, error.status) == ("ServiceUnavailable", 503)


# ---------------------------------------------------------------------------------------------- requests


def test_the_model_has_sixty_seconds_and_its_silence_is_a_model_error() -> None:
    def slow(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        if path == "/invocations":
            raise TimedOutError
        return healthy(container, method, path, body, headers)

    fakes = Fakes(ServingEngine(slow))
    fakes.endpoint()
    error = fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x")
    assert (error.code, error.status, error.members["OriginalStatusCode"]) == ("ModelError", 424, 0)
    assert "timed out while waiting" in error.members["OriginalMessage"]
    assert next(iter(fakes.engine.served.values())).requests[-1][4] == 60.0


def test_a_request_that_kills_its_container_is_not_tried_on_another() -> None:
    def crash(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        if path == "/invocations":
            container.running = False
            raise BrokenError("reset")
        return healthy(container, method, path, body, headers)

    fakes = Fakes(ServingEngine(crash))
    fakes.endpoint(one(count=2))
    assert fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x").code == "ModelError"
    assert len(fakes.engine.running()) == 1


def test_a_containers_refusal_keeps_its_status_and_message() -> None:
    def refuse(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        return Response(status=200 if path == "/ping" else 415, headers={}, body=b"no pictures")

    fakes = Fakes(ServingEngine(refuse))
    fakes.endpoint()
    error = fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x")
    assert error.status == 424
    assert error.members["OriginalStatusCode"] == 415
    assert error.members["OriginalMessage"] == "no pictures"
    assert error.message.startswith('Received client error (415) from primary with message "no pictures". See https://')
    assert error.members["LogStreamArn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/E"


def test_only_the_documented_headers_reach_the_container() -> None:
    fakes = Fakes()
    fakes.endpoint()
    answer = fakes.ask(ContentType="image/png", Accept="text/csv", CustomAttributes="a=1", InferenceId="7")
    _, path, body, headers, _ = next(iter(fakes.engine.served.values())).requests[-1]
    assert (path, body) == ("/invocations", b"x")
    assert headers == {
        "Content-Type": "image/png",
        "Accept": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "a=1",
        "X-Amzn-SageMaker-Inference-Id": "7",
    }
    assert answer["InvokedProductionVariant"] == "A"
    assert answer["CustomAttributes"] is None


def test_a_serverless_variant_takes_four_megabytes_and_its_concurrency() -> None:
    fakes = Fakes()
    serverless = {
        "VariantName": "A",
        "ModelName": "m",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
    }
    fakes.endpoint(serverless)
    assert fakes.engine.specs[0].memory == 2048 * 1024 * 1024
    fakes.ask(Body=b"x" * 4 * 1024 * 1024)
    error = fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x" * (4 * 1024 * 1024 + 1))
    assert (error.code, error.status) == ("ValidationError", 413)
    fleet = fakes.endpoints.get("E").fleet
    assert fleet is not None
    held = fleet.variants["A"].take()
    assert held is not None
    assert fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x").status == 429
    fleet.variants["A"].give_back(held)
    assert fakes.ask()["Body"] == b"serve:1"


def test_an_unknown_target_variant_and_weights_of_zero_are_validation_errors() -> None:
    fakes = Fakes()
    fakes.endpoint(one(InitialVariantWeight=0.0))
    assert fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x", TargetVariant="Z").code == "ValidationError"
    assert fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x").code == "ValidationError"
    assert fakes.ask(TargetVariant="A")["InvokedProductionVariant"] == "A"


def test_tags_are_kept_while_the_resource_lives() -> None:
    fakes = Fakes()
    fakes.endpoint()
    tags = fakes.cloud.tags.service().handlers["ListTags"]
    fakes.config("tagged", one(), Tags=[{"Key": "project", "Value": "kennel"}])
    assert tags({"ResourceArn": f"{ARN}endpoint-config/tagged"}) == {"Tags": [{"Key": "project", "Value": "kennel"}]}
