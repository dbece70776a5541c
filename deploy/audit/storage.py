"""Buckets that the public can read or write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from deploy.audit.finding import Finding
from deploy.audit.permissions import unless_denied
from deploy.aws.client import lookup
from deploy.aws.requests import s3
from deploy.errors import AwsError
from deploy.values import Call

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
ANY_ACCOUNT = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ABSENT = ("NoSuchPublicAccessBlockConfiguration", "NoSuchBucketPolicy")


def look(call: Call, _: datetime) -> Iterator[Finding]:
    """Every bucket that is public or could become so. Raises AwsError where these credentials may not look."""
    for item in call(s3("ListBuckets")).get("Buckets", ()):
        yield from unless_denied(f"bucket/{item['Name']}", partial(_bucket, call, item["Name"]))


def _bucket(call: Call, name: str) -> Iterator[Finding]:
    block = _ask(call, "GetPublicAccessBlock", name).get("PublicAccessBlockConfiguration", {})
    status = _ask(call, "GetBucketPolicyStatus", name).get("PolicyStatus", {})
    grants = _ask(call, "GetBucketAcl", name).get("Grants", ())
    yield from bucket(name, block, bool(status.get("IsPublic")), grants)


def bucket(name: str, block: Mapping[str, bool], has_public_policy: bool, grants: Any) -> Iterator[Finding]:
    """The findings of a bucket's public access block, its policy's status and the grants of its ACL. Pure."""
    settings = ",".join(f"{each}=true" for each in BLOCKS)
    fix = f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration {settings}"
    permissions = {grant.get("Grantee", {}).get("URI"): grant.get("Permission") for grant in grants}
    opened = next((uri for uri in (EVERYBODY, ANY_ACCOUNT) if uri in permissions), None)
    if opened and not block.get("IgnorePublicAcls"):
        whom = "everybody" if opened == EVERYBODY else "every AWS account"
        finding = f"its ACL grants {whom} {permissions[opened]}"
        yield Finding(severity="critical", what=f"bucket/{name}", finding=finding, fix=fix)
    if has_public_policy and not block.get("RestrictPublicBuckets"):
        yield Finding(severity="critical", what=f"bucket/{name}", finding="its policy is public", fix=fix)
    missing = [each for each in BLOCKS if not block.get(each)]
    if missing:
        finding = f"public access is not blocked: {', '.join(missing)}"
        yield Finding(severity="medium", what=f"bucket/{name}", finding=finding, fix=fix)


def _ask(call: Call, operation: str, name: str) -> Mapping[str, Any]:
    """The answer; {} where the bucket has no such setting."""
    try:
        return lookup(call, s3(operation, Bucket=name)) or {}
    except AwsError as error:
        if error.code in ABSENT:
            return {}
        raise
