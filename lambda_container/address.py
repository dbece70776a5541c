"""Decides which URLs the function may fetch: parses them and tells public addresses. Pure: resolves no names.

A host name is never judged by its spelling; only the address that it resolves to counts. IP addresses in decimal,
octal, hexadecimal or shortened notation are refused, not interpreted, because programs differ in how they read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from lambda_container.errors import RequestError

MAX_URL = 8192  # characters
PORTS = {"https": 443, "http": 80}

# An IPv6 address is public only if it is global unicast and outside the blocks for embedded IPv4 and special uses. All
# other blocks, such as ::ffff:0:0/96 (mapped), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), fc00::/7 and fe80::/10, are
# outside 2000::/3.
GLOBAL_UNICAST = IPv6Network("2000::/3")
SPECIAL_IPV6 = (
    IPv6Network("2001::/23"),  # IETF protocols, including Teredo (2001::/32) and ORCHID
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3ffe::/16"),  # the former 6bone
    IPv6Network("3fff::/20"),  # documentation
)
RELAY_IPV4 = 0xC0586300  # 192.88.99.0/24, 6to4 relays
ISATAP = 0x5EFE  # bits 32-48 of an interface identifier that holds an IPv4 address

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


class Policy(NamedTuple):
    """What the operator allows besides https to public addresses: plain http, and exact pairs of host and port."""

    allow_http: bool = False
    allow_hosts: frozenset[tuple[str, int]] = frozenset()


class Target(NamedTuple):
    """A parsed URL. `host` is a lower-case ASCII name without final dot or, if `literal`, an unbracketed IP address."""

    scheme: str
    host: str
    port: int
    path: str
    literal: bool

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"


def parse_url(text: str) -> Target:
    """Parses a URL. Raises RequestError: 400 if it is malformed, 403 if it can never be allowed."""
    text = text.strip()
    if not text or len(text) > MAX_URL or _UNSAFE.search(text):
        raise bad_url(
            f"send one URL of at most {MAX_URL} characters, without spaces, control characters or backslashes"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
        text.encode()
    except ValueError as error:
        raise bad_url(str(error)) from None
    if parts.scheme not in PORTS:
        raise RequestError("scheme-not-allowed", "the URL must start with https://")
    if "@" in parts.netloc:
        raise bad_url("it must not contain a user name or password")
    host, literal = _host(parts)
    return Target(parts.scheme, host, PORTS[parts.scheme] if port is None else port, _path(parts), literal)


def check_target(target: Target, policy: Policy) -> None:
    """Raises RequestError 403 when the scheme or the port is not allowed."""
    if target.scheme == "http" and not policy.allow_http:
        raise RequestError("scheme-not-allowed", "the URL must start with https://, not http://")
    if target.port not in PORTS.values() and not _exempt(target, policy):
        raise RequestError("port-not-allowed", f"port {target.port} is not allowed: use port 443")


def check_addresses(target: Target, addresses: Iterable[str], policy: Policy) -> None:
    """Raises RequestError 403 unless every address is public: a single private one refuses them all."""
    if _exempt(target, policy):
        return
    if not all(is_public(address) for address in addresses):
        raise RequestError(
            "address-not-allowed", f"{target.host} has an address that is not public: use a URL on the public internet"
        )


def is_public(text: str) -> bool:
    """Whether an IP address is on the public internet and embeds no other address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return int(address) & 0xFFFFFF00 != RELAY_IPV4
    return _is_public_ipv6(address)


def _is_public_ipv6(address: IPv6Address) -> bool:
    if address.scope_id or address not in GLOBAL_UNICAST or any(address in network for network in SPECIAL_IPV6):
        return False
    return (int(address) >> 32) & 0xFDFFFFFF != ISATAP


def _exempt(target: Target, policy: Policy) -> bool:
    return (target.host, target.port) in policy.allow_hosts


def _host(parts: SplitResult) -> tuple[str, bool]:
    name = parts.hostname or ""
    if "[" in parts.netloc:
        return _ipv6(name), True
    if not name.isascii():
        name = _idna(name)
    labels = name.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise bad_url("its host is neither a name nor an IP address")
    name = ".".join(labels)
    if len(name) > 253:
        raise bad_url("its host is longer than 253 characters")
    if not _NUMBER.fullmatch(labels[-1]):
        return name, False
    try:
        return str(IPv4Address(name)), True
    except ValueError:
        raise RequestError("address-not-allowed", f"{name} is not a plain IP address: write it as a.b.c.d") from None


def _ipv6(name: str) -> str:
    try:
        if "%" in name:
            raise ValueError("zones have no meaning in a URL")
        return str(IPv6Address(name))
    except ValueError:
        raise bad_url("the part in brackets is not an IPv6 address") from None


def _idna(name: str) -> str:
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise bad_url("its host is not a valid international name") from None


def _path(parts: SplitResult) -> str:
    keep = "%:@!$&'()*+,;=~"
    path = quote(parts.path or "/", safe=keep + "/")
    return f"{path}?{quote(parts.query, safe=keep + '/?')}" if parts.query else path


def bad_url(reason: str) -> RequestError:
    return RequestError("bad-url", f"cannot read the URL: {reason}")
