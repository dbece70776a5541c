"""Work whose answer comes later, in real containers: batch transform, asynchronous endpoints, tuning."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import docker
from tests.container.localcloud.sagemaker.hosting_support import ROLE, Running, build, running
from tests.container.localcloud.sagemaker.later_support import DOCKERFILE, PROGRAM

pytestmark = pytest.mark.timeout(180)
IMAGE = "kennel-test/later:latest"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    client = docker.from_env()
    try:
        build(client, IMAGE, DOCKERFILE, **{"program.py": PROGRAM})
    finally:
        client.close()
    with running(tmp_path_factory.mktemp("later"), KENNEL_LOCALCLOUD_MINUTE_S="0.5") as made:
        made.model_data("model.tar.gz", weights="42")
        container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
        made.client("sagemaker").create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
        yield made


class Bucket:
    """Objects of the bucket `models`."""

    def __init__(self, cloud: Running) -> None:
        self.s3 = cloud.client("s3", s3={"addressing_style": "path"})

    def put(self, **objects: bytes) -> None:
        for key, content in objects.items():
            self.s3.put_object(Bucket="models", Key=key.replace("__", "/"), Body=content)

    def keys(self, prefix: str) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket="models", Prefix=prefix).get("Contents", [])]

    def read(self, uri: str) -> bytes:
        answer = self.s3.get_object(Bucket="models", Key=uri.removeprefix("s3://models/"))
        return bytes(answer["Body"].read())


@pytest.fixture
def bucket(cloud: Running) -> Bucket:
    return Bucket(cloud)


def ended(describe: Callable[[], dict[str, Any]], status: str, *, seconds: float = 60) -> dict[str, Any]:
    """The description once it no longer changes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = describe()
        if found[status] in ("Completed", "Failed", "Stopped"):
            return found
        time.sleep(0.2)
    raise TimeoutError(f"not ended within {seconds} s")


def transformed(cloud: Running, name: str, prefix: str, count: int = 1) -> dict[str, Any]:
    sagemaker = cloud.client("sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://models/{prefix}"}}
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName="m",
        TransformInput={"DataSource": source, "ContentType": "image/jpeg"},
        TransformOutput={"S3OutputPath": f"s3://models/{name}"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": count},
        ModelClientConfig={"InvocationsMaxRetries": 0},
    )
    return ended(lambda: sagemaker.describe_transform_job(TransformJobName=name), "TransformJobStatus")


def test_a_prefix_is_transformed_by_two_instances(cloud: Running, bucket: Bucket) -> None:
    bucket.put(in__a=b"one", in__b__c=b"three", in__d=b"")
    found = transformed(cloud, "whole", "in/", count=2)
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    assert bucket.keys("whole/") == ["whole/a.out", "whole/b/c.out", "whole/d.out"]
    answer = json.loads(bucket.read("whole/b/c.out"))
    assert answer == {"size": 5, "type": "image/jpeg", "batch": "true", "model": ["weights"]}
    assert cloud.containers(kennel__transform="whole") == []


def test_a_picture_that_fails_is_told_and_spares_the_others(cloud: Running, bucket: Bucket) -> None:
    bucket.put(mixed__a=b"one", mixed__b=b"bad one")
    found = transformed(cloud, "mixed", "mixed/")
    assert found["TransformJobStatus"] == "Failed"
    assert found["FailureReason"].startswith("ClientError: See job logs")
    assert bucket.keys("mixed/a.out") == ["mixed/a.out"]
    assert bucket.keys("mixed/b.out") == []
    events = cloud.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix="mixed/"
    )["events"]
    assert any("mixed/b: Bad HTTP status received from algorithm: 400" in event["message"] for event in events)


def test_an_asynchronous_endpoint_answers_in_s3_and_scales_from_nothing(cloud: Running, bucket: Bucket) -> None:
    sagemaker, runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
    variant = {"VariantName": "main", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    output = {"S3OutputPath": "s3://models/async/out", "S3FailurePath": "s3://models/async/failed"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="later", ProductionVariants=[variant], AsyncInferenceConfig={"OutputConfig": output}
    )
    sagemaker.create_endpoint(EndpointName="later", EndpointConfigName="later")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="later", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    bucket.put(asked__good=b"picture", asked__bad=b"bad")

    def ask(key: str) -> dict[str, Any]:
        return dict(runtime.invoke_endpoint_async(EndpointName="later", InputLocation=f"s3://models/asked/{key}"))

    def scale(count: int) -> None:
        desired = [{"VariantName": "main", "DesiredInstanceCount": count}]
        sagemaker.update_endpoint_weights_and_capacities(EndpointName="later", DesiredWeightsAndCapacities=desired)
        waiter.wait(EndpointName="later", WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def there(uri: str) -> bytes:
        key = uri.removeprefix("s3://models/")
        bucket.s3.get_waiter("object_exists").wait(
            Bucket="models", Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        return bucket.read(uri)

    assert json.loads(there(ask("good")["OutputLocation"]))["size"] == 7
    assert b'Received client error (400) from primary with message "no picture"' in there(ask("bad")["FailureLocation"])
    scale(0)
    assert cloud.containers(kennel__endpoint="later") == []
    accepted = ask("good")
    time.sleep(0.5)
    assert bucket.keys(accepted["OutputLocation"].removeprefix("s3://models/")) == []
    woken_by_what_waits(cloud)
    assert json.loads(there(accepted["OutputLocation"]))["size"] == 7
    assert len(cloud.containers(kennel__endpoint="later")) == 1


def woken_by_what_waits(cloud: Running) -> None:
    """Lets the endpoint scale from 0 to 1 while requests wait and nobody answers (rule 50)."""
    scaling = cloud.client("application-autoscaling")
    variant = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/later/variant/main"}
    variant["ScalableDimension"] = "sagemaker:variant:DesiredInstanceCount"
    scaling.register_scalable_target(MinCapacity=0, MaxCapacity=1, **variant)
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    policy = scaling.put_scaling_policy(
        PolicyName="wake", PolicyType="StepScaling", StepScalingPolicyConfiguration=step, **variant
    )
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="waits",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "later"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )


def test_tuning_trains_for_real_and_finds_the_best(cloud: Running, bucket: Bucket) -> None:
    sagemaker = cloud.client("sagemaker")
    rate = {"Name": "rate", "MinValue": "0.1", "MaxValue": "0.9"}
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="search",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "RandomSeed": 1,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [rate]},
        },
        TrainingJobDefinition={
            "StaticHyperParameters": {"epochs": "2"},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://models/tuned"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        },
    )
    name = {"HyperParameterTuningJobName": "search"}
    found = ended(lambda: sagemaker.describe_hyper_parameter_tuning_job(**name), "HyperParameterTuningJobStatus")
    assert found["HyperParameterTuningJobStatus"] == "Completed", found.get("FailureReason")
    trials = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        **name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending"
    )["TrainingJobSummaries"]
    far = [abs(float(trial["TunedHyperParameters"]["rate"]) - 0.5) for trial in trials]
    assert far == sorted(far)
    assert len(far) == 3
    best = found["BestTrainingJob"]["TrainingJobName"]
    assert best == trials[0]["TrainingJobName"]
    job = sagemaker.describe_training_job(TrainingJobName=best)
    assert job["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert job["TuningJobArn"] == found["HyperParameterTuningJobArn"]
    assert bucket.keys(f"tuned/{best}/output/model.tar.gz")
