"""Downloads a picture from S3 with the function's own permissions."""

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

# Strict, because the bucket becomes part of the host name.
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
        raise RequestError("storage-timeout", "S3 did not send the picture in time; try again") from None
    except TooLargeError:
        raise RequestError(
            "picture-too-large", f"the picture is larger than {settings.max_bytes} bytes: send a smaller one"
        ) from None
    except OSError as error:
        raise RequestError("storage-unreachable", f"cannot connect to S3: {error}") from error
    finally:
        service.close()
    if response.status != 200:
        raise refusal(bucket, key, response)
    return response.body


def download(bucket: str, key: str, storage: ServiceAddress) -> tuple[ServiceAddress, Request]:
    """The address and the request. The bucket goes into the host name; into the path if its name has a dot, which no
    certificate matches, or if the endpoint is custom.

    Raises RequestError 400.
    """
    if not BUCKET.fullmatch(bucket) or ".." in bucket:
        raise RequestError("bad-event", f"{bucket[:80]!r} is not a valid bucket name")
    try:
        path = "/" + quote(key, safe="/~")
        size = len(key.encode())
    except UnicodeEncodeError:  # JSON can hold lone surrogates
        size = 0
    if not 0 < size <= MAX_KEY:
        raise RequestError("bad-event", f"the key must have 1 to {MAX_KEY} bytes in UTF-8")
    if storage.custom or "." in bucket:
        path = f"{storage.prefix}/{bucket}{path}"
    else:
        storage = storage._replace(host=f"{bucket}.{storage.host}")
    return storage, Request("GET", path, {"Host": storage.host_header, "Connection": "close"})


def refusal(bucket: str, key: str, response: Response) -> RequestError:
    match = re.search(rb"<Code>([A-Za-z]{1,60})</Code>", response.body)
    reason = match[1].decode() if match else f"status {response.status}"
    message = f"S3 answered {reason} for s3://{bucket}/{key}"
    if "x-amz-bucket-region" in response.headers and 300 <= response.status < 400:
        message += f"; the bucket is in region {response.headers['x-amz-bucket-region']}"
    if response.status == 503:
        return RequestError("storage-busy", message, original_status=503, retry_after="1")
    code = "storage-failed" if response.status >= 500 else "storage-refused"
    return RequestError(code, message, original_status=response.status)
