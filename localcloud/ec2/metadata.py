"""EC2's instance metadata service: answers an instance's requests about itself (rules 86, 87). Pure.

After the EC2 user guide: with HttpTokens=required every GET needs a token from a PUT, and a forwarded PUT is refused.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from localcloud.aws_client import Credentials

TOKEN_PATH = "/latest/api/token"  # noqa: S105
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
NOTICE = timedelta(minutes=2)
LONGEST_TTL = 21600


EXAMPLE = Credentials(key="ASIALOCALCLOUDEC2000", secret="localcloud")  # noqa: S106 (nobody checks it)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an instance may know about itself.

    `credentials` are of its role; `interruption`: when a spot instance will be ended.
    """

    instance_id: str
    instance_type: str
    image_id: str
    region: str
    zone: str
    account: str
    private_ip: str
    role: str = ""
    user_data: bytes = b""
    tokens_required: bool = False
    is_spot: bool = False
    credentials: Credentials = EXAMPLE
    interruption: datetime | None = None


@dataclass(kw_only=True)
class Tokens:
    """The session tokens of one instance."""

    expiries: dict[str, datetime] = field(default_factory=dict)

    def issue(self, seconds: int, now: datetime) -> str:
        token = secrets.token_urlsafe(32)
        self.expiries[token] = now + timedelta(seconds=seconds)
        return token

    def is_valid(self, token: str, now: datetime) -> bool:
        return token in self.expiries and now < self.expiries[token]


def answer(
    facts: Facts, tokens: Tokens, *, method: str, path: str, headers: Mapping[str, str], now: datetime
) -> tuple[int, bytes]:
    """HTTP status and body. Header names are lower case; `path` begins with /latest."""
    if method == "PUT" and path == TOKEN_PATH:
        return _token(tokens, headers, now)
    if method not in ("GET", "HEAD"):
        return 405, b""
    token = headers.get(TOKEN)
    if (token is None and facts.tokens_required) or (token is not None and not tokens.is_valid(token, now)):
        return 401, b""
    return _read(facts, path, now)


def _token(tokens: Tokens, headers: Mapping[str, str], now: datetime) -> tuple[int, bytes]:
    if "x-forwarded-for" in headers:
        return 403, b""
    seconds = headers.get(TTL, "")
    if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TTL:
        return 400, b""
    return 200, tokens.issue(int(seconds), now).encode()


def _read(facts: Facts, path: str, now: datetime) -> tuple[int, bytes]:
    """A leaf's text, or the names in a folder, one a line."""
    leaves = _leaves(facts, now)
    name = "/" + path.strip("/")
    if name in leaves:
        return 200, leaves[name]
    under = {leaf.removeprefix(f"{name}/") for leaf in leaves if leaf.startswith(f"{name}/")}
    if not under:
        return 404, b""
    names = {f"{rest.partition('/')[0]}/" if "/" in rest else rest for rest in under}
    return 200, "\n".join(sorted(names)).encode()


def _leaves(facts: Facts, now: datetime) -> dict[str, bytes]:
    meta = "/latest/meta-data"
    leaves = {
        f"{meta}/ami-id": facts.image_id,
        f"{meta}/instance-id": facts.instance_id,
        f"{meta}/instance-type": facts.instance_type,
        f"{meta}/instance-life-cycle": "spot" if facts.is_spot else "on-demand",
        f"{meta}/local-ipv4": facts.private_ip,
        f"{meta}/placement/availability-zone": facts.zone,
        f"{meta}/placement/region": facts.region,
        f"{meta}/services/domain": "amazonaws.com",
        "/latest/dynamic/instance-identity/document": json.dumps(_identity(facts)),
    }
    if facts.role:
        leaves[f"{meta}/iam/security-credentials/{facts.role}"] = json.dumps(_credentials(facts, now))
    if facts.interruption:
        action = {"action": "terminate", "time": _iso(facts.interruption)}
        leaves[f"{meta}/spot/instance-action"] = json.dumps(action)
        leaves[f"{meta}/spot/termination-time"] = _iso(facts.interruption)
    encoded = {path: text.encode() for path, text in leaves.items()}
    return encoded | ({"/latest/user-data": facts.user_data} if facts.user_data else {})


def _identity(facts: Facts) -> dict[str, str]:
    return {
        "accountId": facts.account,
        "availabilityZone": facts.zone,
        "imageId": facts.image_id,
        "instanceId": facts.instance_id,
        "instanceType": facts.instance_type,
        "privateIp": facts.private_ip,
        "region": facts.region,
    }


def _credentials(facts: Facts, now: datetime) -> dict[str, str]:
    """Credentials of the role in EC2's form, with an expiry."""
    return {
        "Code": "Success",
        "LastUpdated": _iso(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": facts.credentials.key,
        "SecretAccessKey": facts.credentials.secret,
        "Token": facts.credentials.token or facts.instance_id,
        "Expiration": _iso(now + timedelta(hours=6)),
    }


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
