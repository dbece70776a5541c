"""boto3 clients of localcloud's own port: how its services call each other, as any other client calls them."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

OWN_KEY = "localcloud-itself"  # tells its requests from a client's: they are never refused on purpose


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An access key with its secret, and the token of a session."""

    key: str
    secret: str
    token: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every AWS SDK reads."""
        token = {"AWS_SESSION_TOKEN": self.token} if self.token else {}
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, **token}


# localcloud itself, which acts as the account's root.
ROOT = Credentials(key=OWN_KEY, secret="localcloud")  # noqa: S106
# Containers, where IAM is not enforced. They are clients: their requests may be late or throttled like any other's.
CONTAINER = Credentials(key="localcloud", secret="localcloud")  # noqa: S106


def client(service: str, endpoint_url: str, region: str, credentials: Credentials = ROOT) -> Any:
    """A boto3 client of localcloud's own port; it ignores the host's AWS settings."""
    session: Any = boto3.session.Session(
        aws_access_key_id=credentials.key,
        aws_secret_access_key=credentials.secret,
        aws_session_token=credentials.token or None,
        region_name=region,
    )
    return session.client(
        service,
        endpoint_url=endpoint_url,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}, max_pool_connections=8),
    )
