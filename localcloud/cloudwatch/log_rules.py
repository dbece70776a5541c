"""What CloudWatch Logs refuses and moto does not (rule 108). moto answers every request that passes."""

from collections.abc import Mapping
from typing import Any, NoReturn

from localcloud.errors import ApiError
from localcloud.gateway.service import PassToMoto, Service

RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)


def describe_groups(params: Mapping[str, Any]) -> NoReturn:
    if "logGroupNamePrefix" in params and "logGroupNamePattern" in params:
        raise _invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    raise PassToMoto


def filter_events(params: Mapping[str, Any]) -> NoReturn:
    """FilterLogEvents: a token is one that an earlier answer of the same group gave."""
    token, group = params.get("nextToken"), params.get("logGroupName")
    if token is not None and group is not None and (token.count("@") != 2 or not token.startswith(f"{group}@")):
        raise _invalid("The specified nextToken is invalid.")
    raise PassToMoto


def put_retention(params: Mapping[str, Any]) -> NoReturn:
    days, known = params["retentionInDays"], ", ".join(map(str, RETENTIONS))
    if days not in RETENTIONS:
        raise _invalid(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{known}]"
        )
    raise PassToMoto


def service() -> Service:
    """The rules as a service of the gateway."""
    return Service(
        name="logs",
        handlers={
            "DescribeLogGroups": describe_groups, "FilterLogEvents": filter_events, "PutRetentionPolicy": put_retention,
        },
    )  # fmt: skip
