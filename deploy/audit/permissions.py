"""Where AWS denies access, the review reports the permission to request and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deploy.audit.finding import Finding
from deploy.aws.client import is_denied
from deploy.errors import AwsError

ACTIONS = {  # whose IAM action has another name than the operation
    "s3.ListBuckets": "s3:ListAllMyBuckets",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}


def unless_denied(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of `look`, or a finding "unknown" where AWS denies access. `what` names the area."""
    try:
        yield from look()
    except AwsError as error:
        if not is_denied(error):
            raise
        action = ACTIONS.get(error.operation) or error.operation.replace(".", ":")
        fix = f"request the permission {action} (AWS's policy SecurityAudit has all that a review needs)"
        yield Finding(severity="unknown", what=what, finding=f"access denied: {error.code}", fix=fix)
