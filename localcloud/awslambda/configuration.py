"""FunctionConfiguration: checks, the initial value, the end of a change. Pure. refusals.py has Lambda's errors."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.awslambda.refusals import invalid
from localcloud.containers.engine import Image

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
CONFIGURABLE = (
    "Description", "Timeout", "MemorySize", "Role", "EphemeralStorage", "VpcConfig", "DeadLetterConfig",
    "TracingConfig",
)  # fmt: skip
CONTENT = (
    *CONFIGURABLE, "CodeSha256", "Environment", "ImageConfigResponse", "LoggingConfig", "Architectures",
)  # fmt: skip
CREATING = {"Reason": "The function is being created.", "ReasonCode": "Creating"}
NAME_LIMIT = 64
TAG_LIMIT = 50


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
    variables = params.get("Environment", {}).get("Variables", {})
    if clash := sorted(RESERVED_KEYS & set(variables)):
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(clash)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > 4096:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {measured}"
        )


def check_name(name: str) -> None:
    """Refuse a new function's name that is too long by itself: the model limits the whole ARN. Raises ApiError."""
    if len(name) > NAME_LIMIT:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: Member must "
            f"have length less than or equal to {NAME_LIMIT}"
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse more tags than a function may have in all. Raises ApiError."""
    if len(tags) > TAG_LIMIT:
        raise invalid("Number of tags exceeds resource tag limit.")


def changed(config: Params, params: Mapping[str, Any]) -> Params:
    """A configuration with the settings of a request. An empty ImageConfig takes the image's own settings again."""
    members: Params = {key: params[key] for key in CONFIGURABLE if key in params}
    if "Environment" in params:
        members["Environment"] = {"Variables": params["Environment"].get("Variables", {})}
    if "ImageConfig" in params:
        members["ImageConfigResponse"] = {"ImageConfig": params["ImageConfig"]} if params["ImageConfig"] else None
    if "LoggingConfig" in params:
        members["LoggingConfig"] = _logging(config["LoggingConfig"] | params["LoggingConfig"])
    return {key: value for key, value in (config | members).items() if value is not None}


def _logging(given: Params) -> Params:
    """Only JSON logs have levels, INFO by default."""
    if given["LogFormat"] == "JSON":
        return {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **given}
    return {key: value for key, value in given.items() if not key.endswith("LogLevel")}


def initial_config(params: Params, *, name: str, arn: str, image: Image, now: datetime) -> Params:
    """The FunctionConfiguration of a new function."""
    config: Params = {
        "FunctionName": name,
        "FunctionArn": arn,
        "CodeSize": 0,
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": stamp(now),
        "CodeSha256": image.id.removeprefix("sha256:"),
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": str(uuid.uuid4()),
        "PackageType": "Image",
        "Architectures": params.get("Architectures", ["x86_64"]),
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        **_beginning("State", "Pending"),
    }
    return changed(config, params)


def updated_config(config: Params, *, now: datetime) -> Params:
    """A configuration whose update has begun: a new revision, InProgress."""
    revision = {"RevisionId": str(uuid.uuid4()), "LastModified": stamp(now)}
    return config | revision | _beginning("LastUpdateStatus", "InProgress")


def version_config(latest: Params, *, version: str, description: str | None) -> Params:
    """The configuration of a version of $LATEST. It is Pending where $LATEST has not settled yet."""
    config = latest | {
        "Version": version,
        "FunctionArn": f"{latest['FunctionArn']}:{version}",
        "RevisionId": str(uuid.uuid4()),
        "Description": latest["Description"] if description is None else description,
    }
    if is_settled(latest):
        return config
    kept = {key: value for key, value in config.items() if not key.startswith(("State", "LastUpdateStatus"))}
    return kept | _beginning("State", "Pending")


def _beginning(status: str, value: str) -> Params:
    return {status: value, **{f"{status}{suffix}": text for suffix, text in CREATING.items()}}


def is_settled(config: Mapping[str, Any]) -> bool:
    """Whether neither the creation nor an update is in progress."""
    return config["State"] != "Pending" and config.get("LastUpdateStatus") != "InProgress"


def settle(config: Params, reason: str) -> None:
    """End Pending and InProgress in place: Active and Successful, or Failed with `reason`.

    That is a new revision of $LATEST, but not of a version.
    """
    if config["Version"] == "$LATEST":
        config["RevisionId"] = str(uuid.uuid4())
    for status, success in (("State", "Active"), ("LastUpdateStatus", "Successful")):
        if config.get(status, "Pending") not in ("Pending", "InProgress"):
            continue
        config.pop(f"{status}Reason", None)
        config.pop(f"{status}ReasonCode", None)
        config[status] = success
        if reason:
            config |= {status: "Failed", f"{status}Reason": reason, f"{status}ReasonCode": "InvalidImage"}


def content(config: Mapping[str, Any]) -> Params:
    """What a version keeps of $LATEST: its code and its settings."""
    return {key: config.get(key) for key in CONTENT}


def stamp(now: datetime) -> str:
    """A time in Lambda's format."""
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+0000"
