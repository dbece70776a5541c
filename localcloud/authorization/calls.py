"""Names the operation and the parameters of any request to AWS, whatever protocol it speaks. Pure.

gateway/protocol.py does so for the services that localcloud answers; here also for those that moto answers (S3, IAM,
STS, EC2, CloudWatch, logs). moto's parsers read the parameters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from botocore.exceptions import UnknownServiceError
from botocore.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from localcloud.errors import ApiError
from localcloud.gateway import protocol
from localcloud.gateway.service import Request

# Signing name → botocore's services. A signing name without a line is the service's own name.
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "sagemaker": ("sagemaker", "sagemaker-runtime"),
    "monitoring": ("cloudwatch",),
    "servicequotas": ("service-quotas",),
}
_VIRTUAL = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+)\.(?:localhost|host\.docker\.internal)(?::\d+)?")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An operation of a service, by botocore's names; `speaks` is the protocol that the request speaks."""

    service: str
    operation: str
    speaks: str
    params: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.service}.{self.operation}"


def signed(request: Request) -> tuple[str, str]:
    """The access key and the signing name of a SigV4 signature; ("", "") without one."""
    scope = protocol.credential_scope(request.headers, request.query)
    return (protocol.access_key(request.headers, request.query), scope[0]) if scope else ("", "")


def speaks(request: Request, signing_name: str) -> str:
    """The protocol of a request whose operation may be unknown."""
    if signing_name == "s3":
        return "rest-xml"
    if signing_name == "ec2":
        return "ec2"
    if "x-amz-target" in request.headers:
        return "json"
    return "rest-json" if signing_name in ("lambda", "sagemaker") else "query"


def identify(request: Request, signing_name: str) -> Asked | None:
    """The operation of a signed request; None for one that botocore does not know. Raises ApiError for a bad body."""
    how = speaks(request, signing_name)
    for service in _SIGNED.get(signing_name, (signing_name,)):
        try:
            operation, labels = _FINDERS[how](service, request)
        except UnknownServiceError:
            return None
        if operation:
            return _asked(service, operation, how, labels, request)
    return None


def _asked(service: str, operation: str, how: str, labels: Mapping[str, str], request: Request) -> Asked:
    described = get_service_model(service).operation_model(operation)
    form = parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True) if how in ("query", "ec2") else []
    values = MultiDict([*parse_qsl(request.query, keep_blank_values=True), *form])
    question: Any = {
        "method": request.method, "values": values, "headers": Headers(list(request.headers.items())),
        "body": request.body, "url_path": request.path, "url_params": dict(labels),
    }  # fmt: skip
    try:
        params = PROTOCOL_PARSERS[how](described).parse(question)
    except Exception as error:
        raise ApiError("SerializationException", f"The request of {operation} cannot be read: {error}") from None
    return Asked(service=service, operation=operation, speaks=how, params=params)


def _by_target(service: str, request: Request) -> tuple[str, Mapping[str, str]]:
    model = protocol.model(service)
    prefix, _, operation = request.headers["x-amz-target"].rpartition(".")
    is_of_service = prefix == model.metadata.get("targetPrefix") and operation in model.operation_names
    return (operation if is_of_service else ""), {}


def _by_action(service: str, request: Request) -> tuple[str, Mapping[str, str]]:
    pairs = parse_qsl(request.query) + parse_qsl(request.body.decode(errors="replace"))
    operation = dict(pairs).get("Action", "")
    return (operation if operation in protocol.model(service).operation_names else ""), {}


def _by_path(service: str, request: Request) -> tuple[str, Mapping[str, str]]:
    """REST with JSON, as gateway/protocol.py recognises it."""
    call = protocol.recognise(
        method=request.method, path=request.path, query=request.query, headers=dict(request.headers)
    )
    return (call.operation, call.labels) if call is not None and call.service == service else ("", {})


def _of_s3(_: str, request: Request) -> tuple[str, Mapping[str, str]]:
    labels = s3_labels(request.path, request.headers.get("host", ""))
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    for shape in _s3_operations():
        if shape.method == request.method and shape.labels == len(labels) and shape.fits(query, request.headers):
            return shape.name, labels
    return "", {}


def s3_labels(path: str, host: str) -> dict[str, str]:
    """Bucket and Key of a path, or of a host name and a path."""
    virtual = _VIRTUAL.fullmatch(host)
    bucket, _, key = (f"{virtual['bucket']}{path}" if virtual else path.lstrip("/")).partition("/")
    labels = {"Bucket": unquote(bucket), "Key": unquote(key)}
    return {name: value for name, value in labels.items() if value}


@dataclass(frozen=True, kw_only=True)
class _S3Operation:
    """What a request of an S3 operation has: a method, labels in its path, a query and headers."""

    name: str
    method: str
    labels: int
    query: Mapping[str, str]
    headers: tuple[str, ...]

    def fits(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        has_query = all(key in query and value in ("", query[key]) for key, value in self.query.items())
        return has_query and all(name in headers for name in self.headers)


@cache
def _s3_operations() -> tuple[_S3Operation, ...]:
    """Those that ask most of a request come first."""
    model = protocol.model("s3")
    found = [_s3_operation(model, name) for name in model.operation_names if not model.operation_model(name).deprecated]
    return tuple(sorted(found, key=lambda each: (-len(each.query) - len(each.headers), each.name)))


def _s3_operation(model: ServiceModel, name: str) -> _S3Operation:
    described: Any = model.operation_model(name)
    uri, _, query = described.http["requestUri"].partition("?")
    shape = described.input_shape
    members = [shape.members[each].serialization for each in shape.required_members] if shape is not None else []
    needed = {each["name"]: "" for each in members if each.get("location") == "querystring"}
    return _S3Operation(
        name=name,
        method=described.http["method"],
        labels=uri.count("{"),
        query={**needed, **dict(parse_qsl(query, keep_blank_values=True))},
        headers=tuple(each["name"].lower() for each in members if each.get("location") == "header"),
    )


_FINDERS = {"json": _by_target, "query": _by_action, "ec2": _by_action, "rest-json": _by_path, "rest-xml": _of_s3}
