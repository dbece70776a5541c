"""A picture from S3, with the function's own rights."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from lambda_container.deadline import Deadline
from lambda_container.errors import RequestError
from lambda_container.exchange import Request, Response, TooLargeError
from lambda_container.service import Service
from lambda_container.settings import ServiceAddress, Settings
from lambda_container.sigv4 import Credentials, sign

if TYPE_CHECKING:
    from lambda_container.protocols import Network

# Strict, because the name becomes a part of the host name.
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
MAX_KEY = 1024  # bytes


def read_object(
    bucket: str,
    key: str,
    *,
    settings: Settings,
    network: Network,
    credentials: Credentials,
    now: datetime,
    deadline: Deadline,
) -> bytes:
    """The object's bytes, at most `settings.max_bytes`. Raises RequestError: 400, 413, 424, 502, 503, 504."""
    address, request = download(bucket, key, settings.storage)
    request = sign(request, service="s3", region=settings.region, credentials=credentials, now=now)
    service = Service(address, network)
    try:
        response = service.send(request, deadline, settings.max_bytes)
    except TimeoutError:
        raise RequestError(504, "storage-timeout", "S3 did not send the picture in time") from None
    except TooLargeError:
        raise RequestError(413, "picture-too-large", f"the picture is over {settings.max_bytes} bytes") from None
    except OSError as error:
        raise RequestError(502, "storage-unreachable", f"S3 could not be reached: {error}") from error
    finally:
        service.close()
    if response.status != 200:
        raise refusal(bucket, key, response)
    return response.body


def download(bucket: str, key: str, storage: ServiceAddress) -> tuple[ServiceAddress, Request]:
    """Where to send what. The bucket is in the host name, or in the path where a certificate or endpoint forbids that.

    Raises RequestError 400.
    """
    if not BUCKET.fullmatch(bucket) or ".." in bucket:
        raise RequestError(400, "bad-event", f"{bucket[:80]!r} is not the name of a bucket")
    try:
        path = "/" + quote(key, safe="/~")
        size = len(key.encode())
    except UnicodeEncodeError:  # JSON can hold halves of characters
        size = 0
    if not 0 < size <= MAX_KEY:
        raise RequestError(400, "bad-event", f"the key must be text of 1 to {MAX_KEY} bytes")
    if storage.custom or "." in bucket:
        path = f"{storage.prefix}/{bucket}{path}"
    else:
        storage = storage._replace(host=f"{bucket}.{storage.host}")
    return storage, Request("GET", path, {"Host": storage.host_header, "Connection": "close"})


def refusal(bucket: str, key: str, response: Response) -> RequestError:
    found = re.search(rb"<Code>([A-Za-z]{1,60})</Code>", response.body)
    kind = found[1].decode() if found else f"status {response.status}"
    message = f"S3 answers {kind} for s3://{bucket}/{key}"
    if "x-amz-bucket-region" in response.headers and 300 <= response.status < 400:
        message += f"; the bucket is in {response.headers['x-amz-bucket-region']}"
    if response.status == 503:
        return RequestError(503, "storage-busy", message, original_status=503, retry_after="1")
    status, code = (502, "storage-failed") if response.status >= 500 else (424, "storage-refused")
    return RequestError(status, code, message, original_status=response.status)
