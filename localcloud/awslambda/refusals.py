"""Lambda's errors, in its own words (rule 94). Pure."""

import re
from collections.abc import Mapping
from typing import Any

from localcloud.errors import ApiError

NO_SUCH_RESOURCE = "The resource you requested does not exist."
NO_SUCH_FUNCTION = "Function does not exist"
UNMATCHED_QUALIFIER = "The derived qualifier from the function name does not match the specified qualifier."
FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please "
    "specify either a function name or an unqualified function ARN."
)
ALIAS = re.compile(r"(?!\d+$)[A-Za-z0-9_-]+")


def invalid(message: str) -> ApiError:
    """Lambda's error for an invalid parameter."""
    return ApiError("InvalidParameterValueException", message, 400, Type="User")


def invalid_untyped(message: str) -> ApiError:
    """The same error without its member Type, which Lambda leaves out of some."""
    return ApiError("InvalidParameterValueException", message, 400)


def conflict(message: str) -> ApiError:
    return ApiError("ResourceConflictException", message, 409, Type="User")


def missing(message: str) -> ApiError:
    return ApiError("ResourceNotFoundException", message, 404, Type="User")


def no_function(arn: str) -> ApiError:
    return missing(f"Function not found: {arn}")


def no_target(arn: str, qualifier: str) -> ApiError:
    """For operations that look for the version or alias itself: what has the form of an alias is called one."""
    if ALIAS.fullmatch(qualifier):
        return missing(f"Cannot find alias arn: {arn}:{qualifier}")
    return no_function(f"{arn}:{qualifier}")


def unreachable(other: str, region: str) -> ApiError:
    """For the ARN of a function of another Region."""
    return missing(f"Functions from '{other}' are not reachable in this region ('{region}')")


def denied(operation: str, arn: str, caller: str) -> ApiError:
    """For the ARN of another account, which has allowed nothing to this one. CreateFunction gives no reason."""
    action = f"lambda:{'InvokeFunction' if operation == 'Invoke' else operation}"
    reason = (
        f"User: {caller} is not authorized to perform: {action} on resource: {arn} because no resource-based policy "
        f"allows the {action} action"
    )
    return ApiError("AccessDeniedException", "" if operation == "CreateFunction" else reason, 403)


def outdated(source: str = "GetFunction/GetAlias") -> ApiError:
    """For a RevisionId that is not the latest; `source` is the operation that tells the latest."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the {source} API to retrieve the latest Revision Id"
    )
    return ApiError("PreconditionFailedException", message, 412, Type="User")


def not_now(config: Mapping[str, Any]) -> ApiError:
    """Lambda's 409 for a function that is not Active (rule 66)."""
    return conflict(
        "The operation cannot be performed at this time. The function is currently in the following state: "
        f"{config['State']}"
    )


def updating(config: Mapping[str, Any]) -> ApiError:
    """Lambda's 409 while an update is in progress (rule 66)."""
    return conflict(
        "The operation cannot be performed at this time. An update is in progress for resource: "
        f"{config['FunctionArn']}"
    )
