"""Whether a service may take a role: it must exist, trust the service for what asks, and be known everywhere by now.

On AWS a new role is not known everywhere at once, and nobody says for how long (rule 83): KENNEL_LOCALCLOUD_ROLE_S
makes roles as slow here, so that clients are seen to wait.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Protocol

from moto.iam.models import iam_backends

from localcloud.errors import ApiError, LocalcloudError

DELAY_VARIABLE = "KENNEL_LOCALCLOUD_ROLE_S"


class Roles(Protocol):
    """Says whether a service may take a role, on behalf of a resource of the account (its ARN), and whether EC2 knows
    an instance profile whose role it may take."""

    def can_assume(self, arn: str, service: str, source: str) -> bool: ...
    def has_profile(self, name: str) -> bool: ...


class AllowAnyRole:
    """Every role may be taken: for tests of other things."""

    def can_assume(self, arn: str, service: str, source: str) -> bool:  # noqa: ARG002
        return True

    def has_profile(self, name: str) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, kw_only=True)
class MotoRoles:
    """The roles of moto's IAM, in this process. `delay_s`: for how long a new one is not known yet."""

    account: str
    now: Callable[[], datetime]
    delay_s: float = 0.0

    def can_assume(self, arn: str, service: str, source: str) -> bool:
        roles = iam_backends[self.account]["aws"].roles.values()
        role = next((each for each in roles if each.arn == arn), None)
        if role is None or not self._is_known(role.create_date):
            return False
        known = {"aws:SourceAccount": self.account, "aws:SourceArn": source}
        return trusts(json.loads(role.assume_role_policy_document), service, known)

    def has_profile(self, name: str) -> bool:
        profiles = iam_backends[self.account]["aws"].instance_profiles.values()
        found = next((each for each in profiles if each.name == name), None)
        if found is None or not self._is_known(found.create_date):
            return False
        return any(self.can_assume(role.arn, "ec2.amazonaws.com", "") for role in found.roles)

    def _is_known(self, made: datetime) -> bool:
        since = made if made.tzinfo else made.replace(tzinfo=UTC)
        return (self.now() - since).total_seconds() >= self.delay_s


def trusts(document: Mapping[str, Any], service: str, known: Mapping[str, str]) -> bool:
    """Whether a trust policy lets a service take the role. `known` are the condition keys of the request: a condition
    on any other is not met, as on AWS."""
    statements = _listed(document.get("Statement", ()))
    found = [each for each in statements if _is_about(each, service) and _holds(each.get("Condition", {}), known)]
    effects = {each.get("Effect") for each in found}
    return "Allow" in effects and "Deny" not in effects


def _is_about(statement: Mapping[str, Any], service: str) -> bool:
    principal = statement.get("Principal", {})
    services = _listed(principal.get("Service", ())) if isinstance(principal, Mapping) else []
    actions = _listed(statement.get("Action", ()))
    return service in services and any(action in ("sts:AssumeRole", "sts:*", "*") for action in actions)


def _holds(conditions: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    """All of a statement's conditions: each is met by one of its values."""
    return all(
        any(_matches(operator, known[key], wanted) for wanted in _listed(value)) if key in known else False
        for operator, keys in conditions.items()
        for key, value in keys.items()
    )


def _matches(operator: str, value: str, wanted: str) -> bool:
    if operator in ("ArnLike", "ArnEquals", "StringLike"):
        return value == wanted or fnmatchcase(value, wanted)
    return operator == "StringEquals" and value == wanted


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def require_sagemaker_role(roles: Roles, arn: str, source: str) -> None:
    """Raises ApiError, in SageMaker's words, unless it may take a role."""
    service = "sagemaker.amazonaws.com"
    if not roles.can_assume(arn, service, source):
        raise ApiError(
            "ValidationException",
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{service}' to "
            "assume the role.",
        )


def require_lambda_role(roles: Roles, arn: str, source: str) -> None:
    """Raises ApiError, in Lambda's words, unless it may take a role."""
    if not roles.can_assume(arn, "lambda.amazonaws.com", source):
        message = "The role defined for the function cannot be assumed by Lambda."
        raise ApiError("InvalidParameterValueException", message, Type="User")


def require_instance_profile(roles: Roles, profile: str) -> None:
    """Raises ApiError, in EC2's words, unless it knows an instance profile."""
    if not roles.has_profile(profile):
        message = (
            f"Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        )
        raise ApiError("InvalidParameterValue", message)


def role_delay(environ: Mapping[str, str]) -> float:
    """For how many seconds a new role is not known everywhere: KENNEL_LOCALCLOUD_ROLE_S, 0 without it.

    Raises LocalcloudError for what is no such number.
    """
    text = environ.get(DELAY_VARIABLE, "0")
    try:
        delay = float(text)
    except ValueError:
        delay = -1.0
    if not 0 <= delay <= 60:
        raise LocalcloudError(f"{DELAY_VARIABLE}: {text!r} is not a number of seconds from 0 to 60")
    return delay
