"""The scalable dimensions: read and change a resource's capacity through the API of the resource's own service."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from localcloud.applicationautoscaling.records import invalid

UNSUPPORTED = "Unsupported service namespace, resource type or scalable dimension"
BURSTABLE = re.compile(r"ml\.t\d")
VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
ALIAS = re.compile(r"function:([^:]+):([^:]+)")


class ChangeRefusedError(Exception):
    """The service refused to change a capacity; the message is the service's own."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """A resource's current and desired capacity. `steady` is False while anybody changes the resource."""

    current: int
    desired: int
    steady: bool


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A resource to register with its minimum capacity. `is_new`: not registered before."""

    resource: str
    minimum: int
    is_new: bool = True


class Scalable(Protocol):
    """One scalable dimension."""

    @property
    def noun(self) -> str:
        """The capacity's name in scaling activities."""
        ...

    def check(self, registration: Registration) -> None:
        """Raise ApiError for a resource that cannot be scaled, or not down to the minimum."""
        ...

    def read(self, resource: str) -> Capacity | None:
        """The capacity; None when the resource does not exist."""
        ...

    def put(self, resource: str, count: int) -> None:
        """Begin to change the capacity. Raises ChangeRefusedError."""
        ...


@dataclass(frozen=True, kw_only=True)
class VariantCount:
    """sagemaker:variant:DesiredInstanceCount."""

    sagemaker: Callable[[], Any]
    noun: str = "instance count"

    def check(self, registration: Registration) -> None:
        """Refuse what SageMaker does not scale (rules 47, 50)."""
        name, variant = _parts(VARIANT, registration.resource)
        endpoint, config = _describe(self.sagemaker(), name)
        if registration.is_new and endpoint["EndpointStatus"] != "InService":
            raise invalid(
                f'Endpoint "{endpoint["EndpointArn"]}" is {endpoint["EndpointStatus"]}: register its variants when it '
                "is InService."
            )
        variants = {each["VariantName"]: each for each in config["ProductionVariants"]}
        if variant not in variants:
            raise invalid(f'Could not find variant "{variant}" of endpoint "{endpoint["EndpointArn"]}".')
        _check_variant(variants[variant], registration.minimum, is_async="AsyncInferenceConfig" in config)

    def read(self, resource: str) -> Capacity | None:
        name, variant = _parts(VARIANT, resource)
        try:
            endpoint = self.sagemaker().describe_endpoint(EndpointName=name)
        except ClientError:
            return None
        for each in endpoint.get("ProductionVariants", ()):
            if each["VariantName"] == variant and "CurrentInstanceCount" in each:
                return Capacity(
                    current=each["CurrentInstanceCount"],
                    desired=each["DesiredInstanceCount"],
                    steady=endpoint["EndpointStatus"] == "InService",
                )
        return None

    def put(self, resource: str, count: int) -> None:
        endpoint, variant = _parts(VARIANT, resource)
        capacities = [{"VariantName": variant, "DesiredInstanceCount": count}]
        _change(
            self.sagemaker().update_endpoint_weights_and_capacities,
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=capacities,
        )


def _check_variant(variant: Mapping[str, Any], minimum: int, *, is_async: bool) -> None:
    name = variant["VariantName"]
    if "ServerlessConfig" in variant:
        raise invalid(
            f"Variant {name} is serverless: it scales by itself up to MaxConcurrency; only its provisioned concurrency "
            "can be scaled, by sagemaker:variant:DesiredProvisionedConcurrency."
        )
    if BURSTABLE.match(variant["InstanceType"]):
        raise invalid(f"Autoscaling is not supported for instance type {variant['InstanceType']} of variant {name}.")
    if minimum < 1 and not is_async:
        raise invalid(
            f"Minimum capacity {minimum} is not valid for variant {name}: a real-time variant needs at least 1."
        )


@dataclass(frozen=True, kw_only=True)
class VariantProvisionedConcurrency:
    """sagemaker:variant:DesiredProvisionedConcurrency. localcloud registers such a target and never scales it.

    A serverless variant is one container here.
    """

    sagemaker: Callable[[], Any]
    noun: str = "provisioned concurrency"

    def check(self, registration: Registration) -> None:
        name, variant = _parts(VARIANT, registration.resource)
        _, config = _describe(self.sagemaker(), name)
        serverless = [
            each["ServerlessConfig"]
            for each in config["ProductionVariants"]
            if each["VariantName"] == variant and "ServerlessConfig" in each
        ]
        if not serverless or "ProvisionedConcurrency" not in serverless[0]:
            raise invalid(f"Variant {variant} of endpoint {name} has no provisioned concurrency to scale.")
        if registration.minimum < 1:
            raise invalid("Minimum capacity of provisioned concurrency must be at least 1.")

    def read(self, resource: str) -> Capacity | None:  # noqa: ARG002
        return None

    def put(self, resource: str, count: int) -> None:  # noqa: ARG002
        raise ChangeRefusedError("localcloud does not scale a serverless variant's provisioned concurrency.")


@dataclass(frozen=True, kw_only=True)
class ProvisionedConcurrency:
    """lambda:function:ProvisionedConcurrency (rule 68)."""

    functions: Callable[[], Any]
    noun: str = "provisioned concurrency"

    def check(self, registration: Registration) -> None:
        name, qualifier = _parts(ALIAS, registration.resource)
        if qualifier == "$LATEST":
            raise invalid("Provisioned concurrency needs a version or an alias, not $LATEST.")
        _call(self.functions().get_function, FunctionName=name, Qualifier=qualifier)

    def read(self, resource: str) -> Capacity | None:
        name, qualifier = _parts(ALIAS, resource)
        try:
            config = self.functions().get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        except ClientError:
            return None
        return Capacity(
            current=config["AllocatedProvisionedConcurrentExecutions"],
            desired=config["RequestedProvisionedConcurrentExecutions"],
            steady=config["Status"] != "IN_PROGRESS",
        )

    def put(self, resource: str, count: int) -> None:
        name, qualifier = _parts(ALIAS, resource)
        _change(
            self.functions().put_provisioned_concurrency_config,
            FunctionName=name,
            Qualifier=qualifier,
            ProvisionedConcurrentExecutions=count,
        )


def _parts(pattern: re.Pattern[str], resource: str) -> tuple[str, str]:
    """The two names in a ResourceId (rules 47, 68). Raises ApiError."""
    match = pattern.fullmatch(resource)
    if match is None:
        raise invalid(UNSUPPORTED)
    return match[1], match[2]


def _describe(sagemaker: Any, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """An endpoint's description and its configuration's. Raises ApiError."""
    endpoint = _call(sagemaker.describe_endpoint, EndpointName=name)
    return endpoint, _call(sagemaker.describe_endpoint_config, EndpointConfigName=endpoint["EndpointConfigName"])


def _call(operation: Callable[..., Any], **params: Any) -> Any:
    """Call a service. Raises ApiError with the service's message."""
    try:
        return operation(**params)
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None


def _change(operation: Callable[..., Any], **params: Any) -> None:
    """Call a service. Raises ChangeRefusedError with the service's message."""
    try:
        operation(**params)
    except ClientError as error:
        raise ChangeRefusedError(error.response["Error"]["Message"]) from None
