"""botocore's models, read from the server's side: HTTP request → operation and parameters; result or error → HTTP answer.

Pure: no sockets, no state. Knows the protocols that localcloud answers itself: json 1.1 (sagemaker,
application-autoscaling, ecr …) and rest-json (sagemaker-runtime, lambda). The rest goes to moto untouched.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.utils import parse_to_aware_datetime

from localcloud.errors import ApiError

# The services whose requests localcloud reads and validates, whether it or moto answers them.
SERVICES = ("sagemaker", "sagemaker-runtime", "lambda", "application-autoscaling")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One recognised request: service and operation by botocore's names, the region it was signed for."""

    service: str
    operation: str
    region: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer, ready to send. `body` is bytes, or an iterable of bytes for a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes]


@cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service, loaded once per process."""
    return botocore.session.get_session().get_service_model(service)


def credential_scope(headers: Mapping[str, str], query: str) -> tuple[str, str] | None:
    """(service signing name, region) of a SigV4 header or a presigned query; None when the request is unsigned."""
    found = re.search(r"Credential=([^,\s]+)", headers.get("authorization", ""))
    credential = found.group(1) if found else dict(parse_qsl(query)).get("X-Amz-Credential", "")
    parts = credential.split("/")
    if len(parts) < 5:
        return None
    return parts[-2], parts[-3]


def recognise(*, method: str, path: str, query: str, headers: Mapping[str, str]) -> Call | None:
    """Which operation of `SERVICES` a request asks for; None when it is another service's.

    `path` is the raw, still quoted path; header names are lower case.
    """
    scope = credential_scope(headers, query)
    if scope is None:
        return None
    signed_for, region = scope
    target = headers.get("x-amz-target", "")
    for service in SERVICES:
        if (model(service).metadata.get("signingName") or service) != signed_for:
            continue
        if model(service).metadata["protocol"] == "json":
            prefix, _, operation = target.rpartition(".")
            if prefix == model(service).metadata["targetPrefix"] and operation in model(service).operation_names:
                return Call(service=service, operation=operation, region=region, labels={})
            continue
        for pattern, verb, operation in _uris(service):
            match = pattern.fullmatch(path)
            if match and verb == method:
                labels = {name: unquote(value) for name, value in match.groupdict().items()}
                return Call(service=service, operation=operation, region=region, labels=labels)
    return None


@cache
def _uris(service: str) -> tuple[tuple[re.Pattern[str], str, str], ...]:
    """(path pattern, method, operation) of a REST service, the most literal paths first."""
    found = []
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        uri = http["requestUri"].partition("?")[0].rstrip("/")
        pattern = "".join(
            (
                f"(?P<{piece.strip('{}+')}>{'.+' if piece.endswith('+}') else '[^/]+'})"
                if piece.startswith("{")
                else re.escape(piece)
            )
            for piece in re.split(r"(\{[^}]+\})", uri)
        )
        literal = len(re.sub(r"\{[^}]+\}", "", uri))
        found.append((-literal, re.compile(pattern + "/?"), http["method"], name))
    return tuple(entry[1:] for entry in sorted(found, key=lambda entry: (entry[0], entry[3])))


# ---------------------------------------------------------------------------------------------- requests


def parse(call: Call, *, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The operation's parameters, with timestamps as datetimes and blobs as bytes. Not yet validated.

    Raises ApiError SerializationException for a body that is no JSON object.
    """
    shape = model(call.service).operation_model(call.operation).input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    params: dict[str, Any] = {}
    if payload is None:
        params = _read(_json(body), shape, "body")
    elif shape.members[payload].type_name == "structure":
        params[payload] = _read(_json(body), shape.members[payload], "body")
    elif body:
        params[payload] = body if shape.members[payload].type_name == "blob" else body.decode()
    if model(call.service).metadata["protocol"] == "rest-json":
        params |= _located(shape, call.labels, query, headers)
    return params


def _located(shape: Shape, labels: Mapping[str, str], query: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Members that travel in the path, the query string and headers."""
    found: dict[str, Any] = {}
    asked: dict[str, list[str]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        asked.setdefault(key, []).append(value)
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if location == "uri" and key in labels:
            found[name] = _scalar(labels[key], member)
        elif location == "querystring" and key in asked:
            found[name] = asked[key] if member.type_name == "list" else _scalar(asked[key][0], member)
        elif location == "header" and key.lower() in headers:
            found[name] = _scalar(headers[key.lower()], member)
        elif location == "headers":
            found[name] = {k[len(key) :]: v for k, v in headers.items() if k.startswith(key.lower())}
    return found


def _scalar(text: str, shape: Shape) -> Any:
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
        if shape.type_name == "timestamp":
            return parse_to_aware_datetime(text)
    except ValueError:
        return text  # validation names it
    if shape.type_name == "boolean":
        return text.lower() == "true"
    if shape.serialization.get("jsonvalue"):
        return json.loads(base64.b64decode(text))
    return text


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError("SerializationException", "The request body must be a JSON object")
    return value


def _read(value: Any, shape: Shape, where: str) -> Any:
    """A JSON value as the shape's Python value. What does not fit is left as it is, for `validate` to name."""
    if isinstance(value, dict) and shape.type_name == "structure" and not shape.is_document_type:
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        return {
            names.get(key, key): _read(inner, shape.members[names[key]], where) if key in names else inner
            for key, inner in value.items()
            if inner is not None
        }
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: _read(inner, shape.value, where) for key, inner in value.items()}
    if isinstance(value, list) and shape.type_name == "list":
        return [_read(inner, shape.member, where) for inner in value]
    if shape.type_name == "timestamp" and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return parse_to_aware_datetime(value)
        except ValueError:
            return value
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise ApiError("SerializationException", "A blob in the request is not base64") from None
    return value


# ---------------------------------------------------------------------------------------------- validation

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "character": (str,), "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float),
    "boolean": (bool,), "blob": (bytes, bytearray), "timestamp": (datetime,), "structure": (dict,), "map": (dict,), "list": (list,),
}  # fmt: skip


def validate(service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Hold parameters against botocore's model as AWS does: required, types, lengths, ranges, patterns, enums.

    Raises ApiError ValidationException (ValidationError for sagemaker-runtime) that lists every fault in AWS's words.
    """
    shape = model(service).operation_model(operation).input_shape
    faults = list(_faults(params, shape, "")) if shape is not None else []
    if not faults:
        return
    number = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: "
    code = "ValidationError" if service == "sagemaker-runtime" else "ValidationException"
    raise ApiError(code, number + "; ".join(faults), 400)


def _faults(value: Any, shape: Shape, path: str) -> Iterable[str]:
    kind = shape.type_name
    if kind == "structure" and getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"Value {_shown(value)} at '{path}' failed to satisfy constraint: Member must be a {kind}"
        return
    yield from (
        f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {rule}" for rule in _broken(value, shape)
    )
    if kind == "structure":
        yield from _structure_faults(value, shape, path)
    elif kind == "list":
        for number, inner in enumerate(value, start=1):
            yield from _faults(inner, shape.member, f"{path}.{number}.member")
    elif kind == "map":
        for key, inner in value.items():
            yield from _faults(key, shape.key, f"{path}.{key}.key")
            yield from _faults(inner, shape.value, f"{path}.{key}.value")


def _structure_faults(value: Mapping[str, Any], shape: Shape, path: str) -> Iterable[str]:
    def at(name: str) -> str:
        return f"{path}.{_camel(name)}" if path else _camel(name)

    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{at(name)}' failed to satisfy constraint: Member must not be null"
    for name, inner in value.items():
        if name not in shape.members:
            known = ", ".join(shape.members)
            yield f"Value at '{at(name)}' failed to satisfy constraint: Unknown member, must be one of: {known}"
        else:
            yield from _faults(inner, shape.members[name], at(name))
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        names = ", ".join(shape.members)
        yield f"Value at '{path}' failed to satisfy constraint: Exactly one member must be set of: {names}"


def _broken(value: Any, shape: Shape) -> Iterable[str]:
    rules = shape.metadata
    if shape.type_name in ("string", "list", "map", "blob"):
        size, what = len(value), "length"
    elif shape.type_name in ("integer", "long", "float", "double"):
        size, what = value, "value"
    else:
        return
    if "min" in rules and size < rules["min"]:
        yield f"Member must have {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"Member must have {what} less than or equal to {rules['max']}"
    if shape.type_name != "string":
        return
    if "enum" in rules and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    pattern = _pattern(rules["pattern"]) if "pattern" in rules else None
    # The local stage's own extension: a channel may be a folder of this machine.
    if (
        pattern is not None
        and not pattern.fullmatch(value)
        and not (shape.name == "S3Uri" and value.startswith("file:///"))
    ):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """A model's (Java) pattern as Python's; None for one that Python cannot read."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{M}", r"\w"), ("[[", r"[\[")):
        text = text.replace(java, python)
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value) if not isinstance(value, bytes) else f"<{len(value)} bytes>"
    return f"'{text}'" if len(text) <= 1000 else f"'{text[:1000]}...'"


# ---------------------------------------------------------------------------------------------- answers


def serialize(service: str, operation: str, result: Mapping[str, Any]) -> Answer:
    """A handler's result as the service would send it. Members that are None are left out.

    Raises KeyError for a member that the model does not know: a bug of the handler.
    """
    described = model(service).operation_model(operation)
    shape = described.output_shape
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    status = int(described.http.get("responseCode", 200))
    if shape is None:
        return Answer(status=status, headers=headers, body=b"")
    if unknown := [name for name in result if name not in shape.members]:
        raise KeyError(f"{service} {operation} answers no {', '.join(unknown)}; it knows {', '.join(shape.members)}")
    json_protocol = model(service).metadata["protocol"] == "json"
    payload = shape.serialization.get("payload")
    inside: dict[str, Any] = {}
    for name, value in result.items():
        if value is None:
            continue
        member = shape.members[name]
        location = None if json_protocol else member.serialization.get("location")
        if location == "statusCode":
            status = int(value)
        elif location == "header":
            headers[member.serialization.get("name", name)] = _header(value, member)
        elif location == "headers":
            headers |= {member.serialization.get("name", "") + key: str(inner) for key, inner in value.items()}
        else:
            inside[name] = value
    return Answer(
        status=status, headers=headers | _content_type(headers, described), body=_body(inside, shape, payload)
    )


def _content_type(headers: Mapping[str, str], described: OperationModel) -> dict[str, str]:
    if any(name.lower() == "content-type" for name in headers):
        return {}
    metadata = described.service_model.metadata
    return {"Content-Type": "application/x-amz-json-1.1" if metadata["protocol"] == "json" else "application/json"}


def _body(inside: Mapping[str, Any], shape: Shape, payload: str | None) -> bytes | Iterable[bytes]:
    if payload is None:
        return json.dumps(_write(inside, shape)).encode()
    value = inside.get(payload, b"")
    if shape.members[payload].type_name == "structure" and isinstance(value, dict):
        return json.dumps(_write(value, shape.members[payload])).encode()
    return value.encode() if isinstance(value, str) else value


def _header(value: Any, shape: Shape) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _time(value, shape, "rfc822")
    return str(value)


def _write(value: Any, shape: Shape) -> Any:
    if isinstance(value, Mapping) and shape.type_name == "structure" and not shape.is_document_type:
        return {
            shape.members[name].serialization.get("name", name): _write(inner, shape.members[name])
            for name, inner in value.items()
            if inner is not None
        }
    if isinstance(value, Mapping) and shape.type_name == "map":
        return {key: _write(inner, shape.value) for key, inner in value.items()}
    if isinstance(value, list | tuple) and shape.type_name == "list":
        return [_write(inner, shape.member) for inner in value]
    if isinstance(value, datetime):
        return _time(value, shape, "unixTimestamp")
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return value


def _time(value: datetime, shape: Shape, default: str) -> Any:
    style = shape.serialization.get("timestampFormat", default)
    if style == "iso8601":
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if style == "rfc822":
        return format_datetime(value.astimezone(UTC), usegmt=True)
    return value.timestamp()


def serialize_error(service: str, error: ApiError) -> Answer:
    """An error as the service would send it: `__type` in JSON services, `x-amzn-ErrorType` in REST ones.

    A modelled error's message goes under its member's own name (`Message`, `message`), for clients take either.
    """
    shape = model(service).shape_for_error_code(error.code)
    members = shape.members if shape is not None else {}
    key = next((name for name in members if name.lower() == "message"), "message")
    status = error.status or (shape.metadata.get("error", {}).get("httpStatusCode", 400) if shape is not None else 400)
    body = {key: error.message} | {name: value for name, value in error.members.items() if value is not None}
    if model(service).metadata["protocol"] == "json":
        body["__type"] = error.code
        content_type = "application/x-amz-json-1.1"
    else:
        content_type = "application/json"
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "x-amzn-ErrorType": error.code, "Content-Type": content_type}
    return Answer(status=status, headers=headers, body=json.dumps(body).encode())
