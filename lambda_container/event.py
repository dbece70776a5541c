"""Reads from an event where the picture is, whichever AWS service invokes the function. Pure.

A direct invocation sends {"url"}, {"s3"} or {"image"}. HTTP events come from function URLs and HTTP APIs (payload
format 2.0, rule 71) and from REST APIs and load balancers (1.0).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from lambda_container.errors import RequestError

FORMS = (
    'send {"url": "https://…"}, {"s3": {"bucket": "…", "key": "…"}} or {"image": "<base64>"}; '
    "over HTTP, GET ?url=…, POST one of these objects as application/json, or POST the picture as image/*"
)
SOURCES = ("url", "s3", "image")
RAW_TYPES = ("image/", "application/octet-stream", "application/x-image")
METHODS = "GET, POST, OPTIONS"


class Url(NamedTuple):
    url: str


class StoredObject(NamedTuple):
    bucket: str
    key: str


class Picture(NamedTuple):
    content: bytes


Source = Url | StoredObject | Picture


def is_http(event: object) -> bool:
    """Whether the event is an HTTP request, which needs a proxy response."""
    return isinstance(event, dict) and "requestContext" in event and ("httpMethod" in event or "rawPath" in event)


def is_preflight(event: object) -> bool:
    """Whether the event is a browser's CORS preflight request."""
    return is_http(event) and isinstance(event, dict) and _method(event) == "OPTIONS"


def read_event(event: object) -> Source:
    """The picture's source. Raises RequestError 400, 405 or 415, whose message lists the valid forms."""
    if not isinstance(event, dict):
        raise bad_event("it is not a JSON object")
    return _http(event) if is_http(event) else _direct(event)


def _direct(event: Mapping[str, Any]) -> Source:
    if len(event) != 1 or (name := next(iter(event))) not in SOURCES:
        raise bad_event(f"it has {_listed(event)}")
    value = event[name]
    if name == "s3":
        return _stored(value)
    if not isinstance(value, str) or not value:
        raise bad_event(f'"{name}" must be a non-empty string')
    return Url(value) if name == "url" else Picture(_decode(value))


def _stored(value: object) -> StoredObject:
    if isinstance(value, dict) and value.keys() == {"bucket", "key"}:
        bucket, key = value["bucket"], value["key"]
        if isinstance(bucket, str) and isinstance(key, str):
            return StoredObject(bucket, key)
    raise bad_event('"s3" must be {"bucket": "…", "key": "…"}')


def _http(event: Mapping[str, Any]) -> Source:
    method = _method(event)
    if method == "GET":
        query = event.get("queryStringParameters")
        return _direct(query if isinstance(query, dict) and query else {})
    if method == "POST":
        return _posted(event)
    raise RequestError("method-not-allowed", f"{method[:20]} is not allowed: use {METHODS}")


def _posted(event: Mapping[str, Any]) -> Source:
    content_type = _header(event, "content-type").partition(";")[0].strip().lower()
    encoded = event.get("isBase64Encoded") is True
    body = event.get("body") or ""
    if not isinstance(body, str) or not body:
        raise bad_event("the body is empty")
    if content_type.startswith(RAW_TYPES):
        if not encoded:
            raise bad_event("the API passed the picture on as text: declare image/* as a binary media type of the API")
        return Picture(_decode(body))
    if content_type not in ("", "application/json", "text/plain"):
        raise RequestError("unsupported-type", f"the content type {content_type[:80]} is not supported: {FORMS}")
    return _direct(_json(_decode(body) if encoded else body))


def _json(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise bad_event("the body is not JSON") from None
    if not isinstance(value, dict):
        raise bad_event("the body is not a JSON object")
    return value


def _method(event: Mapping[str, Any]) -> str:
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, dict) else None
    method = http.get("method") if isinstance(http, dict) else event.get("httpMethod")
    return str(method).upper()


def _header(event: Mapping[str, Any], name: str) -> str:
    headers = event.get("headers")
    if isinstance(headers, dict):
        for key, value in headers.items():
            if str(key).lower() == name:
                return str(value)
    return ""


def _decode(text: str) -> bytes:
    if text.startswith("data:"):  # a data: URL, as a browser's FileReader makes it
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise bad_event("the picture is not valid base64") from None


def _listed(event: Mapping[str, Any]) -> str:
    names = ", ".join(repr(str(name)[:40]) for name in list(event)[:8])
    return f"the keys {names}" if names else "no keys"


def bad_event(reason: str) -> RequestError:
    return RequestError("bad-event", f"cannot read the request: {reason}; {FORMS}")
