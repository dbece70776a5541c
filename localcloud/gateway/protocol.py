"""AWS's wire protocols on the server's side, read from botocore's models. Pure: no sockets, no state.

An HTTP request becomes an operation with its parameters; a result or an error becomes an HTTP response. Supports the
protocols of `SERVICES`: json 1.1 (sagemaker, application-autoscaling, ecr …) and rest-json (sagemaker-runtime, lambda).
moto handles the protocols of all other services.
"""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import OperationModel, ServiceModel
from botocore.utils import parse_to_aware_datetime

from localcloud.errors import ApiError

# botocore's StructureShape, ListShape, MapShape or scalar Shape; `type_name` says which.
Shape = Any

# The services whose requests localcloud reads and validates, whether it or moto answers them.
SERVICES = (
    "sagemaker", "sagemaker-runtime", "lambda", "application-autoscaling", "ssm", "ecr",
    "service-quotas", "pricing", "logs",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Call:
    """One recognised request: service and operation by botocore's names, the region that it was signed for.

    `labels` are the parameters in the path of a REST request.
    """

    service: str
    operation: str
    region: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP response, ready to send. `body` is bytes, or an iterable of bytes for a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes]


@cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service, loaded once per process."""
    return botocore.session.get_session().get_service_model(service)


def credential_scope(headers: Mapping[str, str], query: str) -> tuple[str, str] | None:
    """(service signing name, region) of a SigV4 header or a presigned query; None when the request is unsigned."""
    parts = _credential(headers, query).split("/")
    if len(parts) < 5:
        return None
    return parts[-2], parts[-3]


def access_key(headers: Mapping[str, str], query: str) -> str:
    """The access key of a SigV4 header or a presigned query; "" when the request is unsigned."""
    key, _, scope = _credential(headers, query).partition("/")
    return key if scope else ""


def _credential(headers: Mapping[str, str], query: str) -> str:
    match = re.search(r"Credential=([^,\s]+)", headers.get("authorization", ""))
    return match.group(1) if match else dict(parse_qsl(query)).get("X-Amz-Credential", "")


def recognise(*, method: str, path: str, query: str, headers: Mapping[str, str]) -> Call | None:
    """Which operation of `SERVICES` a request calls; None for any other service.

    `path` is the raw path, still percent-encoded; header names are lower case.
    """
    scope = credential_scope(headers, query)
    if scope is None:
        return None
    signed_for, region = scope
    target = headers.get("x-amz-target", "")
    for service in SERVICES:
        if model(service).signing_name != signed_for:
            continue
        if model(service).metadata["protocol"] == "json":
            prefix, _, operation = target.rpartition(".")
            if prefix == model(service).metadata["targetPrefix"] and operation in model(service).operation_names:
                return Call(service=service, operation=operation, region=region, labels={})
            continue
        operation, labels = rest_operation(service, method=method, path=path, query=query, headers=headers)
        if operation:
            return Call(service=service, operation=operation, region=region, labels=labels)
    return None


def rest_operation(
    service: str, *, method: str, path: str, query: str, headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """(operation, labels in the path) of a request to a REST service; ("", {}) for none.

    S3 has operations that differ only in what the query or the headers hold: PutObject, CopyObject, UploadPart. The one
    that requires the most of what is there is meant.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    given = {name for name, _ in pairs} | set(headers)
    fits = [
        (entry[:2], match, entry[3], _required(service, entry[3]))
        for entry in _uris(service)
        if (match := entry[0].fullmatch(path)) and entry[2] == method and entry[1] <= set(pairs)
    ]
    if not fits:
        return "", {}
    alike = [fit for fit in fits if fit[0] == fits[0][0]]
    _, match, operation, _ = max(alike, key=lambda fit: len(fit[3]) if fit[3] <= given else -1)
    return operation, {name: unquote(value) for name, value in match.groupdict().items()}


@cache
def _required(service: str, operation: str) -> frozenset[str]:
    """The names of the query parameters and headers (in lower case) that an operation requires."""
    shape = model(service).operation_model(operation).input_shape
    members = [shape.members[name].serialization for name in shape.required_members] if shape is not None else []
    headers = {each["name"].lower() for each in members if each.get("location") == "header"}
    return frozenset(headers | {each["name"] for each in members if each.get("location") == "querystring"})


@cache
def _uris(service: str) -> tuple[tuple[re.Pattern[str], frozenset[tuple[str, str]], str, str], ...]:
    """(path pattern, required query pairs, method, operation) of each operation of a REST service.

    The most literal come first: a List operation may share its path with a Get operation and differ only in its query
    ("?List=ALL").
    """
    entries = []
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        uri, _, query = http["requestUri"].partition("?")
        uri, required_pairs = uri.rstrip("/"), frozenset(parse_qsl(query, keep_blank_values=True))
        pattern = "".join(
            (
                f"(?P<{piece.strip('{}+')}>{'.+' if piece.endswith('+}') else '[^/]+'})"
                if piece.startswith("{")
                else re.escape(piece)
            )
            for piece in re.split(r"(\{[^}]+\})", uri)
        )
        literal = len(re.sub(r"\{[^}]+\}", "", uri))
        entry = (re.compile(pattern + "/?"), required_pairs, http["method"], name)
        entries.append(((-literal, -len(required_pairs), name), entry))
    return tuple(entry for _, entry in sorted(entries, key=lambda pair: pair[0]))


# ---------------------------------------------------------------------------------------------- requests


def parse(call: Call, *, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The operation's parameters, with timestamps as datetimes and blobs as bytes. Not yet validated.

    Raises ApiError SerializationException for a body that is not a JSON object.
    """
    shape = model(call.service).operation_model(call.operation).input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    params: dict[str, Any] = {}
    if payload is None:
        params = _read(_json(body), shape)
    elif shape.members[payload].type_name == "structure":
        params[payload] = _read(_json(body), shape.members[payload])
    elif body:
        params[payload] = body if shape.members[payload].type_name == "blob" else body.decode()
    if model(call.service).metadata["protocol"] == "rest-json":
        params |= located(shape, call.labels, query, headers)
    return params


def located(shape: Shape, labels: Mapping[str, str], query: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Members in the path, the query string and the headers."""
    members: dict[str, Any] = {}
    query_values: dict[str, list[str]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        query_values.setdefault(key, []).append(value)
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if location == "uri" and key in labels:
            members[name] = _scalar(labels[key], member)
        elif location == "querystring" and key in query_values:
            values = query_values[key]
            members[name] = values if member.type_name == "list" else _scalar(values[0], member)
        elif location == "header" and key.lower() in headers:
            members[name] = _scalar(headers[key.lower()], member)
        elif location == "headers":
            members[name] = {k[len(key) :]: v for k, v in headers.items() if k.startswith(key.lower())}
    return members


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "integer": int, "long": int, "float": float, "double": float,
    "timestamp": parse_to_aware_datetime,
    "boolean": lambda text: text.lower() == "true",
}  # fmt: skip


def _scalar(text: str, shape: Shape) -> Any:
    try:
        return _SCALARS.get(shape.type_name, str)(text)
    except ValueError:
        return text  # `validate` reports it


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("SerializationException", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError("SerializationException", "The request body must be a JSON object")
    return value


def _read(value: Any, shape: Shape) -> Any:
    """A JSON value as the shape's Python value. A value that does not fit stays as it is; `validate` reports it."""
    if isinstance(value, dict) and shape.type_name == "structure" and not shape.is_document_type:
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        return {
            names.get(key, key): _read(inner, shape.members[names[key]]) if key in names else inner
            for key, inner in value.items()
            if inner is not None
        }
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: _read(inner, shape.value) for key, inner in value.items()}
    if isinstance(value, list) and shape.type_name == "list":
        return [_read(inner, shape.member) for inner in value]
    return _read_scalar(value, shape)


def _read_scalar(value: Any, shape: Shape) -> Any:
    if shape.type_name == "timestamp" and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return parse_to_aware_datetime(value)  # type: ignore[arg-type]  # takes numbers too
        except ValueError:
            return value
    if shape.type_name in ("float", "double") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # JSON writes 2 for 2.0
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise ApiError("SerializationException", "A blob in the request is not base64") from None
    return value


# ---------------------------------------------------------------------------------------------- responses


def serialize(service: str, operation: str, result: Mapping[str, Any]) -> Response:
    """A handler's result as the service sends it. Members that are None are left out.

    Raises KeyError for a member that the model does not have: a bug in the handler.
    """
    described = model(service).operation_model(operation)
    shape = described.output_shape
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    status = int(described.http.get("responseCode", 200))
    if shape is None:
        return Response(status=status, headers=headers, body=b"")
    if unknown := [name for name in result if name not in shape.members]:
        raise KeyError(f"{service} {operation} has no member {', '.join(unknown)}; it has {', '.join(shape.members)}")
    json_protocol = model(service).metadata["protocol"] == "json"
    payload = shape.serialization.get("payload")
    body: dict[str, Any] = {}
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
            body[name] = value
    if status == 204:  # which HTTP forbids to have a body
        return Response(status=status, headers=headers, body=b"")
    return Response(
        status=status, headers=headers | _content_type(headers, described), body=_body(body, shape, payload)
    )


def _content_type(headers: Mapping[str, str], described: OperationModel) -> dict[str, str]:
    if any(name.lower() == "content-type" for name in headers):
        return {}
    metadata = described.service_model.metadata
    return {"Content-Type": "application/x-amz-json-1.1" if metadata["protocol"] == "json" else "application/json"}


def _body(members: Mapping[str, Any], shape: Shape, payload: str | None) -> bytes | Iterable[bytes]:
    if payload is None:
        return json.dumps(_write(members, shape)).encode()
    value = members.get(payload, b"")
    if shape.members[payload].type_name == "structure" and isinstance(value, dict):
        return json.dumps(_write(value, shape.members[payload])).encode()
    return value.encode() if isinstance(value, str) else value


def _header(value: Any, shape: Shape) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return str(_time(value, shape, "rfc822"))
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


def serialize_error(service: str, error: ApiError) -> Response:
    """An error as the service sends it: `__type` in json services, the header `x-amzn-ErrorType` in rest-json ones.

    The message goes under the name that the error's model gives it: `Message` or `message`.
    """
    shape: Shape = model(service).shape_for_error_code(error.code)  # type: ignore[arg-type]  # the stub says int
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
    return Response(status=status, headers=headers, body=json.dumps(body).encode())


def query_error(error: ApiError) -> Response:
    """An ApiError as EC2, a service of the Query protocol, sends it."""
    element = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
    request_id = f"<RequestID>{uuid.uuid4()}</RequestID>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors>{element}</Errors>{request_id}</Response>'
    return Response(status=error.status or 400, headers={"Content-Type": "text/xml;charset=UTF-8"}, body=body.encode())
