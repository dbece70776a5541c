"""Whether a service can assume a role: the role must exist and trust the service. moto keeps the roles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from moto.core.config import default_user_config
from moto.iam.models import iam_backends

from localcloud.errors import ApiError


class Roles(Protocol):
    """The account's roles and instance profiles. Tests use AllowAnyRole or an in-memory one."""

    def can_assume(self, arn: str, service: str, source: str) -> bool:
        """Whether a service can assume a role for the resource whose ARN is `source`."""
        ...

    def has_profile(self, name: str) -> bool:
        """Whether EC2 knows an instance profile and can assume its role."""
        ...


class AllowAnyRole:
    """Lets every service assume every role: for tests that do not need roles."""

    def can_assume(self, arn: str, service: str, source: str) -> bool:  # noqa: ARG002
        return True

    def has_profile(self, name: str) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, kw_only=True)
class MotoRoles:
    """The roles of moto's IAM, in this process."""

    account: str

    def can_assume(self, arn: str, service: str, source: str) -> bool:
        roles = iam_backends[self.account]["aws"].roles.values()
        role = next((each for each in roles if each.arn == arn), None)
        if role is None:
            return False
        context = {"aws:SourceAccount": self.account, "aws:SourceArn": source}
        return trusts(json.loads(role.assume_role_policy_document), service, context)

    def has_profile(self, name: str) -> bool:
        profiles = iam_backends[self.account]["aws"].instance_profiles.values()
        profile = next((each for each in profiles if each.name == name), None)
        if profile is None:
            return False
        return any(self.can_assume(role.arn, "ec2.amazonaws.com", "") for role in profile.roles)


def know_managed_policies() -> None:
    """Let moto's IAM have the policies that AWS manages. Call it before the first request: it takes 0.1 s and 1 MB."""
    default_user_config["iam"] = {"load_aws_managed_policies": True}


def trusts(document: Mapping[str, Any], service: str, context: Mapping[str, str]) -> bool:
    """Whether a trust policy lets a service assume the role.

    `context` holds the request's condition keys. As on AWS, a condition on any other key is not met.
    """
    statements = _listed(document.get("Statement", ()))
    matching = [each for each in statements if _is_about(each, service) and _is_met(each.get("Condition", {}), context)]
    effects = {each.get("Effect") for each in matching}
    return "Allow" in effects and "Deny" not in effects


def _is_about(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    services = _listed(principal.get("Service", ())) if isinstance(principal, Mapping) else []
    actions = _listed(statement.get("Action", ()))
    return service in services and any(action in ("sts:AssumeRole", "sts:*", "*") for action in actions)


def _is_met(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether the context meets all of a statement's conditions. One of a condition's values must match."""
    return all(
        any(_matches(operator, context[key], pattern) for pattern in _listed(value)) if key in context else False
        for operator, keys in conditions.items()
        for key, value in keys.items()
    )


def _matches(operator: str, value: str, pattern: str) -> bool:
    if operator in ("ArnLike", "ArnEquals", "StringLike"):
        return value == pattern or fnmatchcase(value, pattern)
    return operator == "StringEquals" and value == pattern


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def require_sagemaker_role(roles: Roles, arn: str, source: str) -> None:
    """Raises ApiError with SageMaker's message unless SageMaker can assume the role for the resource `source`."""
    service = "sagemaker.amazonaws.com"
    if not roles.can_assume(arn, service, source):
        raise ApiError(
            "ValidationException",
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{service}' to "
            "assume the role.",
        )


def require_lambda_role(roles: Roles, arn: str, source: str) -> None:
    """Raises ApiError with Lambda's message unless Lambda can assume the role for the function `source`."""
    if not roles.can_assume(arn, "lambda.amazonaws.com", source):
        message = "The role defined for the function cannot be assumed by Lambda."
        raise ApiError("InvalidParameterValueException", message, Type="User")


def require_instance_profile(roles: Roles, profile: str) -> None:
    """Raises ApiError with EC2's message unless EC2 knows the instance profile."""
    if not roles.has_profile(profile):
        message = (
            f"Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        )
        raise ApiError("InvalidParameterValue", message)
