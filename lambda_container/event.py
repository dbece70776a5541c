"""What the caller sent: an event as any of Lambda's front doors delivers it, made into one request. Pure.

Direct invocations carry {"url"}, {"s3"} or {"image"}; HTTP events are those of function URLs and HTTP APIs (payload
2.0, rule 71) and of REST APIs and load balancers (1.0).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from lambda_container.errors import RequestError

FORMS = (
    'give {"url": "https://…"}, {"s3": {"bucket": "…", "key": "…"}} or {"image": "<base64>"}; '
    "over HTTP: GET ?url=…, POST one of these as application/json, or POST the picture itself as image/*"
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
    """Whether the answer must be a proxy response."""
    return isinstance(event, dict) and "requestContext" in event and ("httpMethod" in event or "rawPath" in event)


def is_preflight(event: object) -> bool:
    """A browser asks whether it may POST."""
    return is_http(event) and isinstance(event, dict) and _method(event) == "OPTIONS"


def read_event(event: object) -> Source:
    """Raises RequestError 400, 405 or 415, which says what would be valid."""
    if not isinstance(event, dict):
        raise bad_event("the event is not an object")
    return _http(event) if is_http(event) else _direct(event)


def _direct(event: Mapping[str, Any]) -> Source:
    if len(event) != 1 or (name := next(iter(event))) not in SOURCES:
        raise bad_event(f"it has {_listed(event)}")
    value = event[name]
    if name == "s3":
        return _stored(value)
    if not isinstance(value, str) or not value:
        raise bad_event(f'"{name}" must be a string that is not empty')
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
    raise RequestError(405, "method-not-allowed", f"use {METHODS}")


def _posted(event: Mapping[str, Any]) -> Source:
    kind = _header(event, "content-type").partition(";")[0].strip().lower()
    encoded = event.get("isBase64Encoded") is True
    body = event.get("body") or ""
    if not isinstance(body, str) or not body:
        raise bad_event("the body is empty")
    if kind.startswith(RAW_TYPES):
        if not encoded:
            raise bad_event("the picture was taken for text on its way: declare image/* a binary type at the API")
        return Picture(_decode(body))
    if kind not in ("", "application/json", "text/plain"):
        raise RequestError(415, "unsupported-type", f"{kind[:80]} is not understood; {FORMS}")
    return _direct(_json(_decode(body) if encoded else body))


def _json(text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise bad_event("the body is not JSON") from None
    if not isinstance(found, dict):
        raise bad_event("the body is not a JSON object")
    return found


def _method(event: Mapping[str, Any]) -> str:
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, dict) else None
    found = http.get("method") if isinstance(http, dict) else event.get("httpMethod")
    return str(found).upper()


def _header(event: Mapping[str, Any], name: str) -> str:
    headers = event.get("headers")
    if isinstance(headers, dict):
        for key, value in headers.items():
            if str(key).lower() == name:
                return str(value)
    return ""


def _decode(text: str) -> bytes:
    if text.startswith("data:"):  # as a browser's FileReader gives it
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise bad_event("the picture is not valid base64") from None


def _listed(event: Mapping[str, Any]) -> str:
    names = ", ".join(repr(str(name)[:40]) for name in list(event)[:8])
    return f"the keys {names}" if names else "no keys"


def bad_event(why: str) -> RequestError:
    return RequestError(400, "bad-event", f"the request is not understood: {why}; {FORMS}")
