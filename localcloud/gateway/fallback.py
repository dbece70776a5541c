"""moto behind the server. Whatever moto cannot answer becomes an error in the protocol of the caller's service.

moto raises NotImplementedError for an operation that it lacks, and any exception for a bug. It answers with Flask's
page for people, or with nothing, for a path that it does not know. No SDK can read any of these.
"""

import json
import re
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from flask import Flask
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from localcloud.errors import ApiError
from localcloud.gateway import protocol
from localcloud.gateway.http import WSGI, StartResponse, request_headers, send, take_body
from localcloud.gateway.protocol import Response

_REST_XML = ("route53", "cloudfront")
# Sub-resources of S3 that moto does not know. It would take the request for one about the bucket or the object itself:
# answer with a listing, or delete the bucket.
S3_UNKNOWN = frozenset({
    "metadataConfiguration", "metadataTable", "metadataAnnotationTable", "metadataInventoryTable",
    "metadataJournalTable", "session", "analytics", "intelligent-tiering", "metrics", "abac", "requestPayment",
    "annotation", "renameObject", "torrent",
})  # fmt: skip
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an HTTP request asks for. `operation` is a name, or method and path in a REST service not in SERVICES."""

    service: str
    operation: str
    protocol: str


def asked(environ: dict[str, Any]) -> Asked:
    """Which service a request is for, which operation, and by which protocol its answer must come.

    An unsigned request counts as S3's, as moto takes it.
    """
    method, query, headers = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", ""), request_headers(environ)
    path = str(environ.get("REQUEST_URI") or environ["PATH_INFO"]).partition("?")[0]
    service, _ = protocol.credential_scope(headers, query) or ("s3", "")
    if target := headers.get("x-amz-target"):
        version = "1.0" if headers.get("content-type", "").startswith("application/x-amz-json-1.0") else "1.1"
        return Asked(service=service, operation=target.rpartition(".")[2], protocol=f"json-{version}")
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Asked(service=service, operation=path.rpartition("/")[2], protocol="cbor")
    if action := _action(environ, query):
        return Asked(service=service, operation=action, protocol="ec2" if service == "ec2" else "query")
    call = protocol.recognise(method=method, path=path, query=query, headers=headers)
    form = "s3" if service == "s3" else "rest-xml" if service in _REST_XML else "rest-json"
    return Asked(service=service, operation=call.operation if call else f"{method} {path}", protocol=form)


def _action(environ: dict[str, Any], query: str) -> str:
    """The operation's name in the Query protocol: the member Action of the form or of the query string."""
    is_form = str(environ.get("CONTENT_TYPE", "")).startswith(_FORM)
    form = take_body(environ).decode(errors="replace") if is_form else ""
    return dict(parse_qsl(f"{query}&{form}")).get("Action", "")


def error_response(about: Asked, error: ApiError) -> Response:
    """An error as the service's own protocol writes it."""
    content_type, write = _WRITERS[about.protocol]
    headers = {"Content-Type": content_type, "x-amzn-RequestId": str(uuid.uuid4())}
    if about.protocol == "rest-json":
        headers["x-amzn-ErrorType"] = error.code
    if about.protocol == "cbor":
        headers["smithy-protocol"] = "rpc-v2-cbor"
    return Response(status=error.status or 400, headers=headers, body=write(error))


def _json(error: ApiError) -> bytes:
    return json.dumps({"__type": error.code, "message": error.message}).encode()


def _cbor(error: ApiError) -> bytes:
    """A map of two texts (RFC 8949, section 3)."""

    def text(value: str) -> bytes:
        data = value.encode()
        return b"\x7a" + len(data).to_bytes(4, "big") + data

    return b"\xa2" + text("__type") + text(error.code) + text("message") + text(error.message)


def _xml(root: str, request_id: str) -> Callable[[ApiError], bytes]:
    """A writer of XML. `root` holds the place of the error's elements, such as <Response><Errors>{}</Errors>."""

    def write(error: ApiError) -> bytes:
        extra = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in error.members.items())
        inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{extra}"
        identity = f"<{request_id}>{uuid.uuid4()}</{request_id}>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{root.format(inner, identity)}'.encode()

    return write


_ERROR_RESPONSE = _xml("<ErrorResponse><Error>{}</Error>{}</ErrorResponse>", "RequestId")
_WRITERS: Mapping[str, tuple[str, Callable[[ApiError], bytes]]] = {
    "json-1.1": ("application/x-amz-json-1.1", _json),
    "json-1.0": ("application/x-amz-json-1.0", _json),
    "rest-json": ("application/json", _json),
    "cbor": ("application/cbor", _cbor),
    "query": ("text/xml", _ERROR_RESPONSE),
    "rest-xml": ("text/xml", _ERROR_RESPONSE),
    "s3": ("application/xml", _xml("<Error>{}{}</Error>", "RequestId")),
    "ec2": ("text/xml;charset=UTF-8", _xml("<Response><Errors><Error>{}</Error></Errors>{}</Response>", "RequestID")),
}


class Fallback:
    """moto as a WSGI application that never raises and never answers with a page for people.

    An operation that moto lacks is `NotImplemented` with status 501, which SDKs do not retry. A bug in moto is
    `InternalFailure` with status 500, and its traceback goes to stderr.
    """

    def __init__(self, moto: WSGI | None = None) -> None:
        self._moto: WSGI = moto or DomainDispatcherApplication(_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        about = asked(environ)
        started: list[tuple[Any, ...]] = []
        if about.protocol == "s3" and _is_unknown_to_s3(environ):
            return send(error_response(about, _unanswered(about)), start_response)
        try:
            chunks = self._moto(environ, lambda *values: started.append(values))
        except Exception as error:
            return send(error_response(about, _failure(about, error)), start_response)
        status = int(started[0][0].split(maxsplit=1)[0])
        if status >= 400 and environ["REQUEST_METHOD"] != "HEAD":
            body = b"".join(chunks)
            if not re.match(rb"\s*[<{]", body) or re.match(rb"\s*<(!doctype )?html", body, re.IGNORECASE):
                return send(error_response(about, _refusal(about, status, body)), start_response)
            chunks = [body]
        start_response(*started[0])
        return chunks


def _backend_app(service: Any) -> Flask:
    """moto's application of one service. Raises NotImplementedError for one that moto does not have."""
    if service is None:
        raise NotImplementedError
    return create_backend_app(service)


def _is_unknown_to_s3(environ: Mapping[str, Any]) -> bool:
    names = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)).keys()
    return bool(S3_UNKNOWN & names) or (environ["REQUEST_METHOD"] == "DELETE" and "inventory" in names)


def _failure(about: Asked, error: Exception) -> ApiError:
    if isinstance(error, NotImplementedError):
        return _unanswered(about)
    traceback.print_exception(error)
    message = f"moto failed at {about.service} {about.operation}: {type(error).__name__}: {error}"
    return ApiError("InternalFailure", message, 500)


def _unanswered(about: Asked) -> ApiError:
    message = f"localcloud does not answer {about.operation} of {about.service}: neither localcloud nor moto has it"
    return ApiError("NotImplemented", message, 501)


def _refusal(about: Asked, status: int, body: bytes) -> ApiError:
    """What an answer of moto means that no SDK can read: a page for people, plain text, or nothing."""
    text = body.decode(errors="replace").strip()
    if not text and about.protocol == "s3" and status == 404:
        return ApiError("NoSuchBucket", "The specified bucket does not exist", 404)
    if not text or text.startswith("<"):
        return _unanswered(about)
    return ApiError("InternalFailure", text, status)
