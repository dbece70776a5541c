"""FunctionConfiguration: checks, the initial value, the end of a change; and Lambda's errors. Pure."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.containers.engine import Image
from localcloud.errors import ApiError

Params = dict[str, Any]
RESERVED_KEYS = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip
REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the "
    "latest Revision Id"
)
NO_SUCH_RESOURCE = "The resource you requested does not exist."
CONFIGURABLE = ("Description", "Timeout", "MemorySize", "Role", "VpcConfig", "DeadLetterConfig", "TracingConfig")


def invalid(message: str) -> ApiError:
    """Lambda's error for an invalid parameter."""
    return ApiError("InvalidParameterValueException", message, 400, Type="User")


def conflict(message: str) -> ApiError:
    return ApiError("ResourceConflictException", message, 409, Type="User")


def missing(message: str) -> ApiError:
    return ApiError("ResourceNotFoundException", message, 404, Type="User")


def check_settings(params: Mapping[str, Any]) -> None:
    """Check what Lambda checks beyond botocore's model (rule 65), and refuse what localcloud cannot do.

    Raises ApiError.
    """
    for key in ("Runtime", "Handler", "Layers"):
        if params.get(key):
            raise invalid(f"Please don't provide {key} when the intended function PackageType is Image.")
    if params.get("Timeout", 3) > 900:
        raise invalid(f"Value {params['Timeout']} at 'timeout' must be less than or equal to 900.")
    if params.get("MemorySize", 128) > 10240:
        raise invalid(f"'MemorySize' value {params['MemorySize']} must be less than or equal to 10240.")
    if params.get("ImageConfig", {}).get("WorkingDirectory"):
        raise invalid("localcloud keeps the image's own working directory: leave ImageConfig.WorkingDirectory out.")
    variables = params.get("Environment", {}).get("Variables", {})
    if clash := sorted(RESERVED_KEYS & set(variables)):
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(clash)}"
        )
    if len(json.dumps(variables, separators=(",", ":")).encode()) > 4096:
        raise invalid("Lambda was unable to configure your environment variables because they exceed the 4KB limit.")


def nested(params: Mapping[str, Any]) -> Params:
    """The members of a configuration whose form differs between a request and a response, in the response's form."""
    members: Params = {}
    if "Environment" in params:
        members["Environment"] = {"Variables": params["Environment"].get("Variables", {})}
    if "ImageConfig" in params:
        members["ImageConfigResponse"] = {"ImageConfig": params["ImageConfig"]}
    if "EphemeralStorage" in params:
        members["EphemeralStorage"] = params["EphemeralStorage"]
    return members


def initial_config(params: Params, *, name: str, arn: str, image: Image, now: datetime) -> Params:
    """The FunctionConfiguration of a new function."""
    return {
        "FunctionName": name,
        "FunctionArn": arn,
        "Role": params["Role"],
        "CodeSize": 0,
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": stamp(now),
        "CodeSha256": image.id.removeprefix("sha256:"),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": str(uuid.uuid4()),
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "LastUpdateStatus": "InProgress",
        "PackageType": "Image",
        "Architectures": params.get("Architectures", ["x86_64"]),
        "EphemeralStorage": {"Size": 512},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        **{key: params[key] for key in CONFIGURABLE if key in params},
        **nested(params),
    }


def settle(config: Params, reason: str) -> None:
    """End Pending and InProgress in place, as a new revision: Active and Successful, or Failed with `reason`."""
    config["RevisionId"] = str(uuid.uuid4())
    for status, success in (("State", "Active"), ("LastUpdateStatus", "Successful")):
        if config[status] not in ("Pending", "InProgress"):
            continue
        config.pop(f"{status}Reason", None)
        config.pop(f"{status}ReasonCode", None)
        config[status] = success
        if reason:
            config |= {status: "Failed", f"{status}Reason": reason, f"{status}ReasonCode": "InvalidImage"}


def not_now(config: Mapping[str, Any]) -> ApiError:
    """Lambda's 409 for a function that is not Active (rule 66)."""
    return conflict(
        "The operation cannot be performed at this time. The function is currently in the following state: "
        f"{config['State']}"
    )


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configurations run the same code with the same settings."""
    keys = ("CodeSha256", "Timeout", "MemorySize", "Role", "Environment", "ImageConfigResponse", "EphemeralStorage")
    return all(one.get(key) == other.get(key) for key in keys)


def stamp(now: datetime) -> str:
    """A time in Lambda's format."""
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+0000"
