"""What can be scaled: an endpoint's variant, a function's provisioned concurrency. Reached by AWS's own API."""

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


class UnchangeableError(Exception):
    """The service refused a capacity; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How many there are and should be. While `steady` is False the resource is being changed, by whomever."""

    current: int
    desired: int
    steady: bool


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A resource that is to be scaled, down to `least`. `is_new`: it is registered for the first time."""

    resource: str
    least: int
    is_new: bool = True


class Scalable(Protocol):
    """One scalable dimension."""

    @property
    def noun(self) -> str:
        """What is counted, as activities name it."""
        ...

    def check(self, wanted: Registration) -> None:
        """Raise ApiError for a resource that cannot be scaled, or not down to its minimum."""
        ...

    def read(self, resource: str) -> Capacity | None:
        """The capacity; None when the resource is gone."""
        ...

    def put(self, resource: str, count: int) -> None:
        """Begin a change. Raises UnchangeableError."""
        ...


@dataclass(frozen=True, kw_only=True)
class VariantCount:
    """sagemaker:variant:DesiredInstanceCount."""

    sagemaker: Callable[[], Any]
    noun: str = "instance count"

    def check(self, wanted: Registration) -> None:
        """Hold what SageMaker scales and what not (rules 47, 50)."""
        endpoint, variant = _parts(VARIANT, wanted.resource)
        found = _asked(self.sagemaker().describe_endpoint, EndpointName=endpoint)
        if wanted.is_new and found["EndpointStatus"] != "InService":
            raise invalid(
                f'Endpoint "{found["EndpointArn"]}" is {found["EndpointStatus"]}: register its variants when it is '
                "InService."
            )
        name = found["EndpointConfigName"]
        config = _asked(self.sagemaker().describe_endpoint_config, EndpointConfigName=name)
        variants = {each["VariantName"]: each for each in config["ProductionVariants"]}
        if variant not in variants:
            raise invalid(f'Could not find variant "{variant}" of endpoint "{found["EndpointArn"]}".')
        _check_variant(variants[variant], wanted.least, is_async="AsyncInferenceConfig" in config)

    def read(self, resource: str) -> Capacity | None:
        endpoint, variant = _parts(VARIANT, resource)
        try:
            found = self.sagemaker().describe_endpoint(EndpointName=endpoint)
        except ClientError:
            return None
        for each in found.get("ProductionVariants", ()):
            if each["VariantName"] == variant and "CurrentInstanceCount" in each:
                return Capacity(
                    current=each["CurrentInstanceCount"],
                    desired=each["DesiredInstanceCount"],
                    steady=found["EndpointStatus"] == "InService",
                )
        return None

    def put(self, resource: str, count: int) -> None:
        endpoint, variant = _parts(VARIANT, resource)
        asked = [{"VariantName": variant, "DesiredInstanceCount": count}]
        _changed(
            self.sagemaker().update_endpoint_weights_and_capacities,
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=asked,
        )


def _check_variant(variant: Mapping[str, Any], least: int, *, is_async: bool) -> None:
    name = variant["VariantName"]
    if "ServerlessConfig" in variant:
        raise invalid(
            f"Variant {name} is serverless: it scales by itself up to MaxConcurrency; only its provisioned concurrency "
            "can be scaled, by sagemaker:variant:DesiredProvisionedConcurrency."
        )
    if BURSTABLE.match(variant["InstanceType"]):
        raise invalid(f"Autoscaling is not supported for instance type {variant['InstanceType']} of variant {name}.")
    if least < 1 and not is_async:
        raise invalid(
            f"Minimum capacity {least} is not valid for variant {name}: a real-time variant needs at least 1."
        )


@dataclass(frozen=True, kw_only=True)
class VariantProvisionedConcurrency:
    """sagemaker:variant:DesiredProvisionedConcurrency: checked and kept; a serverless variant is one container here."""

    sagemaker: Callable[[], Any]
    noun: str = "provisioned concurrency"

    def check(self, wanted: Registration) -> None:
        endpoint, variant = _parts(VARIANT, wanted.resource)
        found = _asked(self.sagemaker().describe_endpoint, EndpointName=endpoint)
        name = found["EndpointConfigName"]
        config = _asked(self.sagemaker().describe_endpoint_config, EndpointConfigName=name)
        serverless = [
            each["ServerlessConfig"]
            for each in config["ProductionVariants"]
            if each["VariantName"] == variant and "ServerlessConfig" in each
        ]
        if not serverless or "ProvisionedConcurrency" not in serverless[0]:
            raise invalid(f"Variant {variant} of endpoint {endpoint} has no provisioned concurrency to scale.")
        if wanted.least < 1:
            raise invalid("Minimum capacity of provisioned concurrency must be at least 1.")

    def read(self, resource: str) -> Capacity | None:  # noqa: ARG002
        return None

    def put(self, resource: str, count: int) -> None:  # noqa: ARG002
        raise UnchangeableError("localcloud does not scale a serverless variant's provisioned concurrency.")


@dataclass(frozen=True, kw_only=True)
class ProvisionedConcurrency:
    """lambda:function:ProvisionedConcurrency (rule 68)."""

    functions: Callable[[], Any]
    noun: str = "provisioned concurrency"

    def check(self, wanted: Registration) -> None:
        name, qualifier = _parts(ALIAS, wanted.resource)
        if qualifier == "$LATEST":
            raise invalid("Provisioned concurrency needs a version or an alias, not $LATEST.")
        _asked(self.functions().get_function, FunctionName=name, Qualifier=qualifier)

    def read(self, resource: str) -> Capacity | None:
        name, qualifier = _parts(ALIAS, resource)
        try:
            found = self.functions().get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        except ClientError:
            return None
        return Capacity(
            current=found["AllocatedProvisionedConcurrentExecutions"],
            desired=found["RequestedProvisionedConcurrentExecutions"],
            steady=found["Status"] != "IN_PROGRESS",
        )

    def put(self, resource: str, count: int) -> None:
        name, qualifier = _parts(ALIAS, resource)
        _changed(
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


def _asked(ask: Callable[..., Any], **params: Any) -> Any:
    """An answer of the service; its refusal is passed on in its own words."""
    try:
        return ask(**params)
    except ClientError as error:
        raise invalid(error.response["Error"]["Message"]) from None


def _changed(change: Callable[..., Any], **params: Any) -> None:
    try:
        change(**params)
    except ClientError as error:
        raise UnchangeableError(error.response["Error"]["Message"]) from None
