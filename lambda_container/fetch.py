"""Downloads a picture from an untrusted URL; address.py decides which URLs are allowed.

For each hop the name is resolved once, its addresses are checked, and the connection goes to a checked address. So DNS
rebinding, a second lookup that gives another address, gains nothing. TLS is verified against the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from lambda_container.address import Policy, Target, bad_url, check_addresses, check_target, parse_url
from lambda_container.deadline import Deadline
from lambda_container.errors import RequestError
from lambda_container.exchange import Request, Response, TooLargeError, exchange
from lambda_container.network import connect_any

if TYPE_CHECKING:
    from lambda_container.protocols import Network

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def fetch(url: str, *, policy: Policy, network: Network, deadline: Deadline, limit: int) -> bytes:
    """The body at `url`, at most `limit` bytes, by `deadline`.

    Raises RequestError: 400 not a URL; 403 not allowed; 413 too large; 502 the server failed; 504 too slow.
    """
    target = parse_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        response = _get(target, policy, network, deadline, limit)
        if response.status not in REDIRECTS:
            return _body(target, response)
        target = _next(target, response)
    raise RequestError("too-many-redirects", f"the URL redirects more than {MAX_REDIRECTS} times: send the final URL")


def _get(target: Target, policy: Policy, network: Network, deadline: Deadline, limit: int) -> Response:
    check_target(target, policy)
    try:
        addresses = [target.host] if target.literal else network.resolve(target.host, target.port, deadline)
        check_addresses(target, addresses, policy)
        name = target.host if target.scheme == "https" else None
        stream = connect_any(network, addresses, target.port, name, deadline)
        try:
            return exchange(stream, _request(target), deadline, limit)
        finally:
            stream.close()
    except TimeoutError:
        raise RequestError("fetch-timeout", f"{target.host} did not send the picture in time") from None
    except TooLargeError:
        raise RequestError(
            "picture-too-large", f"the picture is larger than {limit} bytes: send a smaller one"
        ) from None
    except OSError as error:
        raise RequestError("fetch-failed", f"cannot download from {target.host}: {_reason(error)}") from error


def _request(target: Target) -> Request:
    return Request(
        "GET",
        target.path,
        {
            "Host": target.host_header,
            "User-Agent": "kennel",
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        },
    )


def _body(target: Target, response: Response) -> bytes:
    if response.status != 200:
        message = f"{target.host} answered status {response.status} for the picture"
        raise RequestError("fetch-failed", message, original_status=response.status)
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RequestError("fetch-failed", f"{target.host} compressed the picture although the request forbids it")
    return response.body


def _next(target: Target, response: Response) -> Target:
    location = response.headers.get("location", "")
    if not location:
        raise RequestError(
            "fetch-failed", f"{target.host} redirects without a Location header", original_status=response.status
        )
    try:
        location = urljoin(target.url, location.encode("latin-1").decode("utf-8", "replace"))
    except ValueError:
        raise bad_url("it redirects to an invalid URL") from None
    following = parse_url(location)
    if target.scheme == "https" and following.scheme != "https":
        raise RequestError(
            "scheme-not-allowed", "the https:// URL redirects to http://: send one that stays on https://"
        )
    return following


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
