"""Endpoints on real containers, through boto3 and its waiters."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import docker
from tests.container.localcloud.sagemaker.hosting_support import ROLE, SERVER, Running, build, running

WAIT = {"Delay": 1, "MaxAttempts": 90}
IMAGE = "kennel-test/hosting:latest"


@pytest.fixture(scope="module")
def image() -> str:
    client = docker.from_env()
    try:
        return build(
            client, IMAGE, 'FROM {base}\nCOPY server.py /server.py\nENTRYPOINT ["python3", "/server.py"]\n',
            **{"server.py": SERVER},
        )  # fmt: skip
    finally:
        client.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("hosting")) as made:
        yield made


class User:
    """What a user does with endpoints, by boto3 only."""

    def __init__(self, cloud: Running) -> None:
        self.cloud = cloud
        self.sagemaker = cloud.client("sagemaker")
        self.runtime = cloud.client("sagemaker-runtime")

    def model(self, name: str, *, data: str | None = None, image: str = IMAGE, **environment: str) -> None:
        container = {"Image": image, "Environment": environment} | ({"ModelDataUrl": data} if data else {})
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def config(self, name: str, *variants: dict[str, Any]) -> None:
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants))

    def endpoint(self, name: str, *variants: dict[str, Any]) -> dict[str, Any]:
        self.config(name, *variants)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.wait(name)
        return dict(self.sagemaker.describe_endpoint(EndpointName=name))

    def wait(self, name: str) -> None:
        self.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=WAIT)

    def delete(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        self.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=WAIT)

    def ask(self, name: str, order: dict[str, Any] | None = None, **extra: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps(order or {}), **extra
        )
        return {**json.loads(answer["Body"].read()), "answer": answer}


def variant(model: str, *, name: str = "AllTraffic", count: int = 1, weight: float = 1.0) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": count,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": weight,
    }


@pytest.fixture
def user(cloud: Running, image: str) -> User:
    return User(cloud)


def test_an_endpoint_serves_its_model_read_only_and_is_gone_when_deleted(cloud: Running, user: User) -> None:
    user.model("one", data=cloud.model_data("one/model.tar.gz", weights="42"), NAME="first")
    user.config("one", variant("one"))
    arn = user.sagemaker.create_endpoint(EndpointName="One-Endpoint", EndpointConfigName="one")["EndpointArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/one-endpoint"
    assert user.sagemaker.describe_endpoint(EndpointName="One-Endpoint")["EndpointStatus"] == "Creating"
    user.wait("One-Endpoint")

    answer = user.ask("One-Endpoint", {"attributes": 1}, CustomAttributes="mine", InferenceId="id-1", Accept="text/csv")

    assert answer["model"] == {"weights": "42"}
    assert answer["writable"] is False
    assert answer["argv"] == ["serve"]
    assert answer["name"] == "first"
    sent = {name.lower(): value for name, value in answer["headers"].items()}
    assert sent["x-amzn-sagemaker-custom-attributes"] == "mine"
    assert sent["x-amzn-sagemaker-inference-id"] == "id-1"
    assert sent["accept"] == "text/csv"
    assert answer["answer"]["CustomAttributes"] == "said"
    assert answer["answer"]["InvokedProductionVariant"] == "AllTraffic"
    assert answer["answer"]["ContentType"] == "application/json"
    assert "CustomAttributes" not in user.ask("One-Endpoint", CustomAttributes="mine")["answer"]

    user.delete("One-Endpoint")
    assert cloud.containers(kennel__endpoint="One-Endpoint") == []
    with pytest.raises(ClientError, match="Could not find endpoint"):
        user.sagemaker.describe_endpoint(EndpointName="One-Endpoint")
    with pytest.raises(ClientError, match="Endpoint One-Endpoint of account 123456789012 not found"):
        user.ask("One-Endpoint")


def test_a_container_that_dies_at_start_fails_the_endpoint_with_sagemakers_reason(user: User, cloud: Running) -> None:
    user.model("dies", DIE="no weights")
    user.config("dies", variant("dies"))
    user.sagemaker.create_endpoint(EndpointName="dies", EndpointConfigName="dies")
    with pytest.raises(Exception, match="Failed"):
        user.wait("dies")
    described = user.sagemaker.describe_endpoint(EndpointName="dies")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert "no weights" in described["FailureReason"]
    assert cloud.containers(kennel__endpoint="dies") == []
    user.delete("dies")


def test_the_containers_output_reaches_cloudwatch_logs(user: User, cloud: Running) -> None:
    user.model("logs")
    user.endpoint("logs", variant("logs"))
    user.ask("logs", {"sleep": 0})
    logs = cloud.client("logs")
    for _ in range(50):
        found = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/logs")["events"]
        if any("asked for" in event["message"] for event in found):
            break
        time.sleep(0.2)
    assert any("asked for" in event["message"] for event in found)
    assert found[0]["logStreamName"].startswith("AllTraffic/i-")
    user.delete("logs")


def test_a_containers_errors_become_model_errors_with_the_original_status(user: User) -> None:
    user.model("errors")
    user.endpoint("errors", variant("errors"))
    for status, side in ((400, "client"), (503, "server")):
        with pytest.raises(ClientError) as caught:
            user.ask("errors", {"status": status})
        error: Any = caught.value.response
        assert error["Error"]["Code"] == "ModelError"
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert error["OriginalStatusCode"] == status
        assert error["OriginalMessage"] == '{"error": "as ordered"}'
        assert f"Received {side} error ({status}) from primary" in error["Error"]["Message"]
        assert error["LogStreamArn"].endswith("log-group:/aws/sagemaker/Endpoints/errors")
    with pytest.raises(ClientError, match="ValidationError"):
        user.runtime.invoke_endpoint(EndpointName="errors", Body=b"x" * 6_291_457)
    fits = user.runtime.invoke_endpoint(EndpointName="errors", Body=b"x" * 6_291_456)
    assert json.loads(fits["Body"].read())["size"] == 6_291_456
    user.delete("errors")


def test_traffic_follows_the_weights_and_a_target_variant_overrides_them(user: User) -> None:
    user.model("a", NAME="a")
    user.model("b", NAME="b")
    user.endpoint("weights", variant("a", name="A", weight=3), variant("b", name="B", weight=1))
    answers = Counter(user.ask("weights")["name"] for _ in range(200))
    assert 110 < answers["a"] < 185
    assert user.ask("weights", TargetVariant="B")["name"] == "b"
    with pytest.raises(ClientError, match="ValidationError"):
        user.ask("weights", TargetVariant="C")
    user.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="weights",
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0}, {"VariantName": "B", "DesiredInstanceCount": 2},
        ],
    )  # fmt: skip
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        user.sagemaker.delete_endpoint(EndpointName="weights")
    user.wait("weights")
    assert {user.ask("weights")["name"] for _ in range(30)} == {"b"}
    assert len({user.ask("weights")["host"] for _ in range(10)}) == 2
    counts = {
        entry["VariantName"]: (entry["CurrentInstanceCount"], entry["DesiredWeight"])
        for entry in user.sagemaker.describe_endpoint(EndpointName="weights")["ProductionVariants"]
    }
    assert counts == {"A": (1, 0.0), "B": (2, 1.0)}
    user.delete("weights")


def load(user: User, name: str, stop: threading.Event, names: list[str], failed: list[Exception]) -> None:
    while not stop.is_set():
        try:
            names.append(user.ask(name, {"sleep": 0.02})["name"])
        except Exception as error:
            failed.append(error)


def test_an_update_under_load_fails_no_request_and_keeps_what_it_is_told_to_keep(user: User, cloud: Running) -> None:
    user.model("old", NAME="old")
    user.model("new", NAME="new")
    user.endpoint("update", variant("old", count=2))
    user.config("update-2", variant("new", count=1))
    stop, names, failed = threading.Event(), list[str](), list[Exception]()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(load, user, "update", stop, names, failed)
        time.sleep(1)
        user.sagemaker.update_endpoint(
            EndpointName="update", EndpointConfigName="update-2", RetainAllVariantProperties=True
        )
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            user.sagemaker.update_endpoint(EndpointName="update", EndpointConfigName="update-2")
        user.wait("update")
        time.sleep(1)
        stop.set()
    assert failed == []
    assert {"old", "new"} == set(names)
    assert {user.ask("update")["name"] for _ in range(10)} == {"new"}
    described = user.sagemaker.describe_endpoint(EndpointName="update")
    assert described["EndpointConfigName"] == "update-2"
    assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert len(cloud.containers(kennel__endpoint="update")) == 2
    user.delete("update")


def test_a_failed_update_leaves_the_old_model_serving_and_says_why(user: User, cloud: Running) -> None:
    user.model("good", NAME="good")
    user.model("bad", DIE="broken release")
    user.endpoint("rollback", variant("good"))
    user.config("rollback-2", variant("bad"))
    user.sagemaker.update_endpoint(EndpointName="rollback", EndpointConfigName="rollback-2")
    user.wait("rollback")
    described = user.sagemaker.describe_endpoint(EndpointName="rollback")
    assert described["EndpointConfigName"] == "rollback"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert user.ask("rollback")["name"] == "good"
    assert len(cloud.containers(kennel__endpoint="rollback")) == 1
    user.delete("rollback")


def test_an_isolated_model_serves_from_an_internal_network(user: User, cloud: Running) -> None:
    container = {"Image": IMAGE}
    user.sagemaker.create_model(
        ModelName="isolated", PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=True
    )
    user.endpoint("isolated", variant("isolated"))
    assert user.ask("isolated")["size"] == 2
    (running,) = cloud.containers(kennel__endpoint="isolated")
    (network,) = running.attrs["NetworkSettings"]["Networks"].values()
    assert cloud.docker.networks.get(network["NetworkID"]).attrs["Internal"] is True
    user.delete("isolated")


def test_a_dead_container_is_noticed_and_replaced(user: User, cloud: Running) -> None:
    user.model("dead")
    user.endpoint("dead", variant("dead", count=2))
    before = {container.id for container in cloud.containers(kennel__endpoint="dead")}
    with pytest.raises(ClientError, match="ModelError"):
        user.ask("dead", {"die": 1})
    assert user.ask("dead")["size"] == 2  # the other one serves meanwhile
    for _ in range(100):
        now = {container.id for container in cloud.containers(kennel__endpoint="dead")}
        if len(now) == 2 and now != before:
            break
        time.sleep(0.2)
    assert len(now) == 2
    assert now != before
    user.delete("dead")


def test_taking_localcloud_down_while_an_endpoint_is_creating_leaves_nothing(image: str, tmp_path: Path) -> None:
    with running(tmp_path) as cloud:  # which raises when a container is left
        user = User(cloud)
        user.model("sick", SICK="1")
        user.config("sick", variant("sick", count=2))
        user.sagemaker.create_endpoint(EndpointName="sick", EndpointConfigName="sick")
        while len(cloud.containers(kennel__endpoint="sick")) < 2:
            time.sleep(0.1)
        assert user.sagemaker.describe_endpoint(EndpointName="sick")["EndpointStatus"] == "Creating"


def test_a_model_of_a_missing_image_or_missing_data_is_refused(user: User) -> None:
    with pytest.raises(ClientError, match=r"Requested image kennel-test/none:1 not found"):
        user.model("ghost", image="kennel-test/none:1")
    with pytest.raises(ClientError, match=r"Could not find model data at s3://models/none\.tar\.gz"):
        user.model("ghost", data="s3://models/none.tar.gz")
