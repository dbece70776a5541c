"""The function's settings, read from environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from lambda_container.address import PORTS, Policy
from lambda_container.sigv4 import Credentials

MAX_BYTES = 5_000_000  # below the endpoint's limit; an event holds at most 4.7 MB, which is Lambda's 6 MB in base64
ENDPOINT_LIMIT = 6_291_456  # bytes, rule 30


class SettingsError(Exception):
    """An invalid environment: no event can be answered, so the exception ends the call and Lambda counts an error."""


class ServiceAddress(NamedTuple):
    """The address of an AWS service. `custom`: the operator set it (localcloud, a VPC endpoint)."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    custom: bool = False

    @property
    def host_header(self) -> str:
        return self.host if self.port == PORTS[self.scheme] else f"{self.host}:{self.port}"


class Settings(NamedTuple):
    endpoint_name: str
    region: str
    runtime: ServiceAddress
    storage: ServiceAddress
    policy: Policy
    max_bytes: int = MAX_BYTES


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsError, whose text names the variable and the fix."""
    name = environment.get("KENNEL_ENDPOINT_NAME", "")
    if not re.fullmatch(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", name):
        raise SettingsError(f"KENNEL_ENDPOINT_NAME is {name!r}: set it to the name of the SageMaker endpoint")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    if not re.fullmatch(r"[a-z]{2}[a-z0-9-]{3,30}", region):
        raise SettingsError(f"AWS_REGION is {region!r}: set it to a region such as us-east-1")
    return Settings(
        endpoint_name=name,
        region=region,
        runtime=_address(environment, "SAGEMAKER_RUNTIME", f"runtime.sagemaker.{region}.{_suffix(region)}"),
        storage=_address(environment, "S3", f"s3.{region}.{_suffix(region)}"),
        policy=Policy(environment.get("KENNEL_ALLOW_HTTP", "") == "1", _allow_hosts(environment)),
        max_bytes=_max_bytes(environment),
    )


def read_credentials(environment: Mapping[str, str]) -> Credentials:
    """Raises SettingsError."""
    try:
        return Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    except KeyError as error:
        raise SettingsError(f"{error.args[0]} is not set: give the function an execution role") from None


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _address(environment: Mapping[str, str], service: str, regional: str) -> ServiceAddress:
    url = environment.get(f"AWS_ENDPOINT_URL_{service}") or environment.get("AWS_ENDPOINT_URL")
    if not url:
        return ServiceAddress("https", regional, 443)
    try:
        parts = urlsplit(url)
        port = (parts.port or PORTS[parts.scheme]) if parts.scheme in PORTS else None
    except ValueError:
        port = None
    if port is None or not parts.hostname:
        raise SettingsError(f"AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_{service} is {url!r}: write http(s)://host:port")
    return ServiceAddress(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), custom=True)


def _allow_hosts(environment: Mapping[str, str]) -> frozenset[tuple[str, int]]:
    pairs = set()
    for item in filter(None, (part.strip() for part in environment.get("KENNEL_ALLOW_HOSTS", "").split(","))):
        host, _, port = item.rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(f"KENNEL_ALLOW_HOSTS holds {item!r}: write host:port, separated by commas")
        pairs.add((host.strip("[]").lower().removesuffix("."), int(port)))
    return frozenset(pairs)


def _max_bytes(environment: Mapping[str, str]) -> int:
    text = environment.get("KENNEL_MAX_BYTES") or str(MAX_BYTES)
    if not text.isdigit() or not 0 < int(text) <= ENDPOINT_LIMIT:
        raise SettingsError(f"KENNEL_MAX_BYTES is {text!r}: set it to a number of bytes from 1 to {ENDPOINT_LIMIT}")
    return int(text)
