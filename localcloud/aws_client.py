"""boto3 clients of localcloud's own port: how its services call each other, as any other client calls them."""

from typing import Any

import boto3
from botocore.config import Config

ACCESS_KEY = "localcloud-itself"  # tells its requests from a client's: they are never refused on purpose


def client(service: str, endpoint_url: str, region: str) -> Any:
    """A boto3 client of localcloud's own port, with dummy credentials; it ignores the host's AWS settings."""
    session: Any = boto3.session.Session(
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="localcloud",  # noqa: S106
        region_name=region,
    )
    return session.client(
        service,
        endpoint_url=endpoint_url,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}, max_pool_connections=8),
    )
