"""Application Auto Scaling over HTTP: the targets that it refuses, and a metric that changes the instance count."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.localcloud.applicationautoscaling.fixtures import ScalingAws, scaling_aws
from tests.unit.localcloud.sagemaker.hosting.fixtures import one

ABOUT = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
A = {**ABOUT, "ResourceId": "endpoint/E/variant/A"}
SERVERLESS = {
    "VariantName": "S", "ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
}  # fmt: skip
TRACKING = {
    "TargetValue": 10.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 120,
    "ScaleOutCooldown": 60,
}


@pytest.fixture(scope="module")
def mixed() -> Iterator[ScalingAws]:
    """An endpoint whose variants are A, which scales, T on a burstable instance, and S, which is serverless."""
    with scaling_aws(one(), one("T", InstanceType="ml.t2.medium"), SERVERLESS) as aws:
        yield aws


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ResourceId": "endpoint/missing/variant/A"}, 'Could not find endpoint "arn:aws:sagemaker'),
        ({"ResourceId": "endpoint/E/variant/B"}, 'Could not find variant "B" of endpoint'),
        ({"ResourceId": "E/A"}, "Unsupported service namespace, resource type or scalable dimension"),
        ({"MinCapacity": 0}, "a real-time variant needs at least 1"),
        ({"MinCapacity": 5}, "must not be greater than maximum capacity 4"),
        ({"ResourceId": "endpoint/E/variant/T"}, "Autoscaling is not supported for instance type ml.t2.medium"),
        ({"ResourceId": "endpoint/E/variant/S"}, "is serverless: it scales by itself up to MaxConcurrency"),
        ({"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}, "no provisioned concurrency"),
    ],
)
def test_registration_refuses_what_sagemaker_cannot_scale(
    mixed: ScalingAws, change: dict[str, Any], message: str
) -> None:
    scaling = mixed.client("application-autoscaling")
    with pytest.raises(ClientError, match=message) as caught:
        scaling.register_scalable_target(**{**A, "MinCapacity": 1, "MaxCapacity": 4, **change})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_an_asynchronous_variant_may_scale_to_zero() -> None:
    config = {"OutputConfig": {"S3OutputPath": "s3://models/out"}}
    with scaling_aws(AsyncInferenceConfig=config) as aws:
        aws.client("application-autoscaling").register_scalable_target(**A, MinCapacity=0, MaxCapacity=4)


def test_a_variant_of_an_updating_endpoint_cannot_be_registered() -> None:
    with scaling_aws() as aws:
        scaling = aws.client("application-autoscaling")
        update = [{"VariantName": "A", "DesiredInstanceCount": 2}]
        aws.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName="E", DesiredWeightsAndCapacities=update
        )
        with pytest.raises(ClientError, match="is Updating: register its variants when it is InService"):
            scaling.register_scalable_target(**A, MinCapacity=1, MaxCapacity=4)
        aws.settle()
        scaling.register_scalable_target(**A, MinCapacity=1, MaxCapacity=4)


def test_a_metric_changes_the_instance_count_within_bounds_and_cooldowns() -> None:
    with scaling_aws() as aws:
        scaling = aws.client("application-autoscaling")
        scaling.register_scalable_target(**A, MinCapacity=1, MaxCapacity=3, Tags={"kennel:stage": "local"})
        made = scaling.put_scaling_policy(
            **A, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=TRACKING
        )
        alarms = aws.client("cloudwatch").describe_alarms(AlarmNames=[each["AlarmName"] for each in made["Alarms"]])
        assert sorted(each["EvaluationPeriods"] for each in alarms["MetricAlarms"]) == [3, 15]
        history = []
        for invocations in [15] * 4 + [30] * 5 + [0] * 22:
            aws.minute(invocations)
            history.append(aws.running)
        assert history[:3] == [1, 1, 2]  # three minutes above the target
        assert max(history) == 3
        assert history[-1] == 1
        steps = [b - a for a, b in pairwise(history)]
        assert set(steps) <= {-1, 0, 1}
        done = scaling.describe_scaling_activities(ServiceNamespace="sagemaker", ResourceId=A["ResourceId"])
        assert [each["StatusCode"] for each in done["ScalingActivities"]] == ["Successful"] * 4
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        assert policies[0]["TargetTrackingScalingPolicyConfiguration"] == TRACKING
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        assert scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"] == {
            "kennel:stage": "local",
        }  # fmt: skip
        scaling.deregister_scalable_target(**A)
        assert aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking")["MetricAlarms"] == []


def test_an_update_that_changes_a_scaled_variant_is_refused_until_it_is_deregistered() -> None:
    with scaling_aws() as aws:
        scaling, sagemaker = aws.client("application-autoscaling"), aws.client("sagemaker")
        scaling.register_scalable_target(**A, MinCapacity=1, MaxCapacity=3)
        aws.fakes.config("same", one())
        aws.fakes.config("other-type", one(InstanceType="ml.c5.large"))
        aws.fakes.config("other-name", one("B"))
        for config in ("other-type", "other-name"):
            with pytest.raises(ClientError, match="must be deregistered as scalable targets with AWS Auto Scaling"):
                sagemaker.update_endpoint(EndpointName="E", EndpointConfigName=config)
        sagemaker.update_endpoint(EndpointName="E", EndpointConfigName="same")
        aws.settle()
        scaling.deregister_scalable_target(**A)
        sagemaker.update_endpoint(EndpointName="E", EndpointConfigName="other-type")
