"""Application Auto Scaling for the server: its operations, and the autoscaler, which CloudWatch's monitor calls."""

from collections.abc import Callable
from functools import cache
from typing import Any

from localcloud.applicationautoscaling.autoscaler import Autoscaler
from localcloud.applicationautoscaling.policies import Policies
from localcloud.applicationautoscaling.records import Records
from localcloud.applicationautoscaling.scalable import (
    ProvisionedConcurrency,
    Scalable,
    VariantCount,
    VariantProvisionedConcurrency,
)
from localcloud.applicationautoscaling.targets import Targets
from localcloud.aws_client import client
from localcloud.cloud import Cloud
from localcloud.gateway.service import Service

# The service-linked roles (rule 52), by namespace.
ROLES = {
    "sagemaker": "sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    "lambda": "lambda.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
}  # fmt: skip


def scalables(cloud: Cloud) -> dict[str, Scalable]:
    """Scalable dimension → how to read and change it, through localcloud's own port."""

    @cache
    def connect(service: str) -> Any:
        return client(service, cloud.endpoint_url, cloud.region)

    return {
        "sagemaker:variant:DesiredInstanceCount": VariantCount(sagemaker=lambda: connect("sagemaker")),
        "sagemaker:variant:DesiredProvisionedConcurrency": VariantProvisionedConcurrency(
            sagemaker=lambda: connect("sagemaker")
        ),
        "lambda:function:ProvisionedConcurrency": ProvisionedConcurrency(functions=lambda: connect("lambda")),
    }


def service(cloud: Cloud) -> tuple[Service, Callable[[float], None]]:
    """Application Auto Scaling for the server, and the function that CloudWatch's monitor calls at every tick."""
    dimensions, scale = scalables(cloud), cloud.minute / 60
    records = Records(arn=cloud.arn, now=cloud.now)
    targets = Targets(
        records=records, alarms=cloud.alarms, scalables=dimensions,
        role=lambda namespace: f"arn:aws:iam::{cloud.account}:role/aws-service-role/{ROLES[namespace]}",
    )  # fmt: skip
    policies = Policies(records=records, alarms=cloud.alarms, scale=scale)
    autoscaler = Autoscaler(
        records=records, alarms=cloud.alarms, metrics=cloud.metrics, scalables=dimensions, next_run=policies.next_run,
        scale=scale,
    )  # fmt: skip
    handlers = targets.handlers() | policies.handlers()
    return Service(name="application-autoscaling", handlers=handlers), autoscaler.tick
