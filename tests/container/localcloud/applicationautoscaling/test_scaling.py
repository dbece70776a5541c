"""Endpoints that scale and roll back by themselves: real containers, real load, minutes of half a second."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import docker
from tests.container.localcloud.sagemaker.hosting_support import ROLE, RUNTIME, SERVER, Running, build, running

IMAGE, FUNCTION = "kennel-test/scaling:latest", "kennel-test/scaling-function:latest"
DOCKERFILE = 'FROM {base}\nCOPY main.py /main.py\nENTRYPOINT ["python3", "/main.py"]\nCMD ["handler"]\n'
MINUTE = 0.5
WAIT = {"Delay": 1, "MaxAttempts": 90}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    client = docker.from_env()
    try:
        build(client, IMAGE, DOCKERFILE, **{"main.py": SERVER})
        build(client, FUNCTION, DOCKERFILE, **{"main.py": RUNTIME})
    finally:
        client.close()
    with running(tmp_path_factory.mktemp("scaling"), KENNEL_LOCALCLOUD_MINUTE_S=str(MINUTE)) as made:
        yield made


class Load:
    """Requests at a rate (per second) that tests may change. `ended` counts them by outcome."""

    def __init__(self, cloud: Running, endpoint: str, rate: float) -> None:
        self.rate, self.endpoint, self.ended = rate, endpoint, Counter[str]()
        self.client = cloud.client("sagemaker-runtime")

    def send(self) -> None:
        try:
            self.client.invoke_endpoint(EndpointName=self.endpoint, ContentType="application/json", Body=json.dumps({}))
            self.ended["answered"] += 1
        except self.client.exceptions.ModelError:
            self.ended["failed"] += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()

        def send_until_over() -> None:
            while not over.wait(8 / self.rate):
                self.send()

        senders = [threading.Thread(target=send_until_over) for _ in range(8)]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            over.set()
            for sender in senders:
                sender.join()


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until `condition` holds; return how many seconds it took. Raises AssertionError."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.05)
    return time.monotonic() - began


def create(cloud: Running, name: str, **environment: str) -> Any:
    """Create a model and an endpoint configuration `name` with one instance. Returns the client."""
    sagemaker = cloud.client("sagemaker")
    container = {"Image": IMAGE, "Environment": environment}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large",
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    return sagemaker


def serve(cloud: Running, name: str) -> Any:
    sagemaker = create(cloud, name)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=WAIT)
    return sagemaker


def test_load_starts_a_second_container_whose_end_loses_no_request(cloud: Running) -> None:
    serve(cloud, "busy")
    scaling = cloud.client("application-autoscaling")
    about = {
        "ServiceNamespace": "sagemaker", "ResourceId": "endpoint/busy/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }  # fmt: skip
    scaling.register_scalable_target(**about, MinCapacity=1, MaxCapacity=2)
    kind = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    scaling.put_scaling_policy(
        **about, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 8.0, "PredefinedMetricSpecification": kind, "ScaleInCooldown": 60, "ScaleOutCooldown": 60,
        },
    )  # fmt: skip
    counts: list[int] = []

    def settled_at(count: int) -> bool:
        counts.append(len(cloud.containers(kennel__endpoint="busy")))
        done = [each["StatusCode"] for each in activities()]
        return counts[-1] == count and bool(done) and "InProgress" not in done

    def activities() -> list[dict[str, Any]]:
        return list(scaling.describe_scaling_activities(**about)["ScalingActivities"])

    load = Load(cloud, "busy", rate=60)
    with load.running():
        until(lambda: settled_at(2), 30)
        load.rate = 4
        took = until(lambda: settled_at(1), 30)
    assert took > 10 * MINUTE  # fifteen quiet minutes, minus those that overlap the end of the load
    assert set(counts) <= {1, 2}
    assert load.ended["failed"] == 0
    assert load.ended["answered"] > 60
    into, out = activities()
    assert out["Description"] == "Setting desired instance count to 2."
    assert "AlarmHigh" in out["Cause"]
    assert into["Description"] == "Setting desired instance count to 1."
    assert "AlarmLow" in into["Cause"]
    assert [out["StatusCode"], into["StatusCode"]] == ["Successful", "Successful"]
    scaling.deregister_scalable_target(**about)
    assert cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking")["MetricAlarms"] == []


def test_a_canary_that_fails_its_requests_rolls_back_by_itself(cloud: Running) -> None:
    sagemaker = serve(cloud, "careful")
    create(cloud, "broken", FAIL="1")
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="careful-errors", Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors", Statistic="Average",
        Dimensions=[{"Name": "EndpointName", "Value": "careful"}, {"Name": "VariantName", "Value": "main"}],
        Period=60, EvaluationPeriods=1, Threshold=0.05, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )  # fmt: skip
    load = Load(cloud, "careful", rate=60)
    with load.running():
        sagemaker.update_endpoint(
            EndpointName="careful", EndpointConfigName="broken",
            DeploymentConfig={
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        "WaitIntervalInSeconds": 60,
                    },
                },
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "careful-errors"}]},
            },
        )  # fmt: skip
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="careful", WaiterConfig=WAIT)
        load.ended.clear()
        time.sleep(0.5)
    endpoint = sagemaker.describe_endpoint(EndpointName="careful")
    assert endpoint["EndpointConfigName"] == "careful"
    assert "careful-errors" in endpoint["FailureReason"]
    assert set(load.ended) == {"answered"}


def test_provisioned_concurrency_grows_when_busy_and_shrinks_when_idle(cloud: Running) -> None:
    functions, scaling = cloud.client("lambda"), cloud.client("application-autoscaling")
    functions.create_function(FunctionName="warm", PackageType="Image", Code={"ImageUri": FUNCTION}, Role=ROLE)
    functions.get_waiter("function_active_v2").wait(FunctionName="warm", WaiterConfig=WAIT)
    version = functions.publish_version(FunctionName="warm")["Version"]
    functions.get_waiter("published_version_active").wait(FunctionName="warm", Qualifier=version, WaiterConfig=WAIT)
    functions.create_alias(FunctionName="warm", Name="live", FunctionVersion=version)
    about = {
        "ServiceNamespace": "lambda", "ResourceId": "function:warm:live",
        "ScalableDimension": "lambda:function:ProvisionedConcurrency",
    }  # fmt: skip
    alias = {"FunctionName": "warm", "Qualifier": "live"}
    functions.put_provisioned_concurrency_config(**alias, ProvisionedConcurrentExecutions=1)
    scaling.register_scalable_target(**about, MinCapacity=1, MaxCapacity=2)
    kind = {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}
    scaling.put_scaling_policy(
        **about, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 0.6, "PredefinedMetricSpecification": kind},
    )  # fmt: skip

    def is_ready(count: int) -> bool:
        config = functions.get_provisioned_concurrency_config(**alias)
        return bool(config["AvailableProvisionedConcurrentExecutions"] == count and config["Status"] == "READY")

    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            functions.invoke(**alias, Payload=json.dumps({"sleep": 0.2}))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        until(lambda: is_ready(2), 30)
    finally:
        over.set()
        caller.join()
    until(lambda: is_ready(1), 30)
    functions.delete_function(FunctionName="warm")
