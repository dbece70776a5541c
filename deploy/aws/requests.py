"""A request to one AWS service in one line: `sagemaker("DescribeEndpoint", EndpointName=name)`."""

from __future__ import annotations

from typing import Any, Protocol

from deploy.values import Request


class _Service(Protocol):
    def __call__(self, operation: str, **params: Any) -> Request: ...


def _service(name: str) -> _Service:
    def request(operation: str, **params: Any) -> Request:
        return Request(service=name, operation=operation, params=params)

    return request


autoscaling = _service("application-autoscaling")
cloudwatch = _service("cloudwatch")
ec2 = _service("ec2")
ecr = _service("ecr")
iam = _service("iam")
lambda_ = _service("lambda")
logs = _service("logs")
pricing = _service("pricing")
s3 = _service("s3")
sagemaker = _service("sagemaker")
sagemaker_runtime = _service("sagemaker-runtime")
service_quotas = _service("service-quotas")
ssm = _service("ssm")
sts = _service("sts")
