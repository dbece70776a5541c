"""S3's conditional requests that moto lacks: checked and written at once, and refused as S3 refuses them (rule 105).

moto answers every request that passes.
"""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote

from localcloud.errors import ApiError
from localcloud.gateway.fallback import Asked, error_response
from localcloud.gateway.http import WSGI, StartResponse, request_headers, send

_SOURCE = "x-amz-copy-source"
_UNIMPLEMENTED = "A header you provided implies functionality that is not implemented"
_DELETE_ONLY_IN_DIRECTORY_BUCKETS = ("x-amz-if-match-last-modified-time", "x-amz-if-match-size")


@dataclass(frozen=True, kw_only=True)
class Current:
    """An object as it is now: its ETag without quotes, and when it was written."""

    etag: str
    modified: datetime


@dataclass(kw_only=True)
class _Upload:
    """A multipart upload in progress: its object's path, and whether that object was written or deleted meanwhile."""

    path: str
    overtaken: bool = False


def _unimplemented(header: str, more: str = "") -> ApiError:
    members = {"Header": header} | ({"additionalMessage": more} if more else {})
    return ApiError("NotImplemented", _UNIMPLEMENTED, 501, **members)


def refuse_combinations(method: str, headers: Mapping[str, str]) -> None:
    """Raise the ApiError of conditions that S3 does not implement. `headers`: names in lower case."""
    for header in _DELETE_ONLY_IN_DIRECTORY_BUCKETS:
        if method == "DELETE" and header in headers:
            raise _unimplemented(header)
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and none_match is not None:
        more = "Multiple conditional request headers present in the request"
        raise _unimplemented("If-Match,If-None-Match", more)
    if method != "DELETE" and match == "*":
        raise _unimplemented("If-Match", "We don't accept the provided value of If-Match header for this API")
    if none_match not in (None, "*"):
        raise _unimplemented("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")


def _failed(condition: str) -> ApiError:
    message = "At least one of the pre-conditions you specified did not hold"
    return ApiError("PreconditionFailed", message, 412, Condition=condition)


def check_target(headers: Mapping[str, str], current: Current | None, key: str) -> None:
    """Raise ApiError unless If-Match or If-None-Match allows to write over the object as it is now."""
    if "if-none-match" in headers and current is not None:
        raise _failed("If-None-Match")
    if "if-match" not in headers:
        return
    if current is None:
        raise ApiError("NoSuchKey", "The specified key does not exist.", 404, Key=key)
    if headers["if-match"].strip('"') != current.etag:
        raise _failed("If-Match")


def check_source(headers: Mapping[str, str], current: Current, now: datetime) -> None:
    """Raise ApiError unless a copy's source meets the conditions, in S3's order. A time in the future is ignored."""
    match, none_match = (headers.get(f"{_SOURCE}-{name}") for name in ("if-match", "if-none-match"))
    since, unmodified = (_time(headers.get(f"{_SOURCE}-if-{name}-since")) for name in ("modified", "unmodified"))
    if match is not None:
        if match.strip('"') != current.etag:
            raise _failed(f"{_SOURCE}-If-Match")
    elif unmodified is not None and current.modified > unmodified:
        raise _failed(f"{_SOURCE}-If-Unmodified-Since")
    if none_match is not None:
        if none_match.strip('"') == current.etag:
            raise _failed(f"{_SOURCE}-If-None-Match")
    elif since is not None and current.modified <= since <= now:
        raise _failed(f"{_SOURCE}-If-Modified-Since")


def _time(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


@dataclass(kw_only=True)
class ConditionalWrites:
    """A WSGI application in front of `s3` that keeps S3's rules for conditional writes and copies. Thread-safe."""

    s3: WSGI
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _uploads: dict[str, _Upload] = field(default_factory=dict)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, headers = environ["REQUEST_METHOD"], request_headers(environ)
        if method not in ("PUT", "POST", "DELETE"):
            return self.s3(_without_future(environ, headers), start_response)
        if not any(name.endswith(("-since", "-match", "-match-size", "-time")) for name in headers if "if-" in name):
            return self._write(environ, start_response)
        with self._lock:  # S3 checks and writes at once
            try:
                refuse_combinations(method, headers)
                if method != "DELETE":  # moto checks If-Match of DeleteObject
                    self._check(environ, headers)
            except ApiError as error:
                about = Asked(service="s3", operation=method, protocol="s3")
                return send(error_response(about, error), start_response)
            return self._write(environ, start_response)

    def _check(self, environ: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        path = _path(environ)
        key = unquote(path.lstrip("/").partition("/")[2])
        if _SOURCE in headers:
            source, _, version = headers[_SOURCE].partition("?")
            current = self._head(environ, f"/{source.lstrip('/')}", version)
            if current is not None:  # moto answers for a source that is not there
                check_source(headers, current, datetime.now(UTC))
        check_target(headers, self._head(environ, path, ""), key)
        upload = self._uploads.get(_query(environ).get("uploadId", ""))
        if upload is not None and upload.overtaken:
            condition = "If-Match" if "if-match" in headers else "If-None-Match"
            raise ApiError(
                "ConditionalRequestConflict",
                "The conditional request cannot succeed due to a conflicting operation against this resource.",
                409, Condition=condition, Key=key,
            )  # fmt: skip

    def _head(self, environ: Mapping[str, Any], path: str, query: str) -> Current | None:
        """The object at a path, from a HeadObject of moto; None when there is none."""
        asked = {name: value for name, value in environ.items() if not name.startswith("HTTP_X_AMZ_COPY")}
        asked = {name: value for name, value in asked.items() if not name.startswith("HTTP_IF_")}
        uri = f"{path}?{query}" if query else path
        asked |= {
            "REQUEST_METHOD": "HEAD", "PATH_INFO": unquote(path), "QUERY_STRING": query, "REQUEST_URI": uri,
            "RAW_URI": uri, "CONTENT_LENGTH": "0", "wsgi.input": BytesIO(),
        }  # fmt: skip
        started: list[tuple[str, list[tuple[str, str]]]] = []
        list(self.s3(asked, lambda status, headers, *_: started.append((status, headers))))
        status, pairs = started[0]
        found = {name.lower(): value for name, value in pairs}
        if not status.startswith("200"):
            return None
        return Current(etag=found["etag"].strip('"'), modified=parsedate_to_datetime(found["last-modified"]))

    def _write(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """moto's answer. Remembers which multipart uploads a write has overtaken."""
        started: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            started.append(status)
            return start_response(status, headers, *more)

        chunks = self.s3(environ, start)
        query = _query(environ)
        if not started[0].startswith("2") or {"partNumber", "tagging", "acl"} & set(query):
            return chunks
        if "uploads" not in query:
            self._written(_path(environ), query.get("uploadId"))
            return chunks
        body = b"".join(chunks)
        if begun := re.search(rb"<UploadId>([^<]+)</UploadId>", body):
            with self._lock:
                self._uploads[begun.group(1).decode()] = _Upload(path=_path(environ))
        return [body]

    def _written(self, path: str, upload: str | None) -> None:
        with self._lock:
            self._uploads.pop(upload or "", None)
            for other in self._uploads.values():
                other.overtaken = other.overtaken or other.path == path


def _without_future(environ: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """A read without If-Modified-Since of a time in the future, which S3 ignores."""
    since = _time(headers.get("if-modified-since"))
    if since is not None and since > datetime.now(UTC):
        return {name: value for name, value in environ.items() if name != "HTTP_IF_MODIFIED_SINCE"}
    return environ


def _path(environ: Mapping[str, Any]) -> str:
    return str(environ.get("REQUEST_URI") or environ["PATH_INFO"]).partition("?")[0]


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).items()
    }
