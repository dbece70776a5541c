"""Which operation of which service a request calls, for every service, and the gates that may refuse it.

localcloud's own handlers need `protocol` only. Whatever looks at all requests, moto's too, needs this. Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError

from localcloud.aws_client import OWN_KEY
from localcloud.errors import ApiError
from localcloud.gateway import protocol
from localcloud.gateway.protocol import Call

SIGNED_FOR = {"monitoring": "cloudwatch"}  # signing name → botocore's name, where they differ
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class AnyCall:
    """One request of any service.

    `operation`: "" where botocore knows none for it. `params`: the request's members; a form's as they were sent
    (`IamInstanceProfile.Name`), S3's without the body. `access_key`: who signed.
    """

    service: str
    operation: str
    params: Mapping[str, Any]
    access_key: str

    @property
    def is_internal(self) -> bool:
        """Whether localcloud itself sent it."""
        return self.access_key == OWN_KEY


class Gate(Protocol):
    """Stands between every client's request and what answers it. Gates are asked in their order."""

    def refuse(self, call: AnyCall) -> ApiError | None:
        """The error that answers the request instead, or None to let it pass."""
        ...

    def answered(self, call: AnyCall, status: int) -> None:
        """Told the HTTP status of each request that every gate let pass, before the client gets it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Http:
    """An HTTP request. `path` is raw, still percent-encoded; header names are lower case. `body` reads the body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Callable[[], bytes]


def identify(http: Http) -> AnyCall | None:
    """The call of a signed request; None for one without a signature. Reads the body only where needed."""
    scope = protocol.credential_scope(http.headers, http.query)
    if scope is None:
        return None
    known = protocol.recognise(method=http.method, path=http.path, query=http.query, headers=http.headers)
    if known is not None:
        service, operation, params = known.service, known.operation, _members(known, http)
    else:
        service = SIGNED_FOR.get(scope[0], scope[0])
        operation, params = _other(service, http)
    return AnyCall(
        service=service,
        operation=operation,
        params=params,
        access_key=protocol.access_key(http.headers, http.query),
    )


def _members(call: Call, http: Http) -> Mapping[str, Any]:
    try:
        return protocol.parse(call, query=http.query, headers=http.headers, body=http.body())
    except ApiError:  # not JSON: what answers the request says so
        return call.labels


def _other(service: str, http: Http) -> tuple[str, Mapping[str, Any]]:
    """(operation, members) of a service that only moto answers."""
    if target := http.headers.get("x-amz-target", ""):
        return _targeted(service, target.rpartition(".")[2], http)
    if match := re.fullmatch(r"/service/[^/]+/operation/(\w+)", http.path):  # CBOR, whose members nobody needs here
        return match.group(1), {}
    kind = _protocol(service)
    if kind in ("query", "ec2", "smithy-rpc-v2-cbor"):
        is_form = http.headers.get("content-type", "").startswith(FORM)
        form = dict(parse_qsl(http.body().decode(errors="replace") if is_form else http.query, keep_blank_values=True))
        return form.get("Action", ""), form
    if kind not in ("rest-xml", "rest-json"):
        return "", {}
    path = _with_bucket(service, http)
    operation, labels = protocol.rest_operation(
        service, method=http.method, path=path, query=http.query, headers=http.headers
    )
    if not operation:
        return "", {}
    shape = protocol.model(service).operation_model(operation).input_shape
    return operation, protocol.located(shape, labels, http.query, http.headers) if shape is not None else {}


def _targeted(service: str, operation: str, http: Http) -> tuple[str, Mapping[str, Any]]:
    """(operation, members) of a request whose header names the operation."""
    if _protocol(service) is None or operation not in protocol.model(service).operation_names:
        return operation, {}
    return operation, _members(Call(service=service, operation=operation, region="", labels={}), http)


def _with_bucket(service: str, http: Http) -> str:
    """S3's path with the bucket in front, also where the client names the bucket in the host."""
    match = re.match(r"(.+?)\.(?:s3[.-]|localhost)", http.headers.get("host", ""))
    return f"/{match.group(1)}{http.path}" if service == "s3" and match else http.path


def _protocol(service: str) -> str | None:
    """The protocol of a service; None where botocore has no such service."""
    try:
        return str(protocol.model(service).metadata["protocol"])
    except UnknownServiceError:
        return None


def named(params: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The texts at a path of member names; a list on the way stands for each of its items."""
    if isinstance(params, list):
        for each in params:
            yield from named(each, path)
    elif path and isinstance(params, Mapping) and path[0] in params:
        yield from named(params[path[0]], path[1:])
    elif not path and isinstance(params, str):
        yield params
