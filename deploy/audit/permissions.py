"""What may not be looked at is said, with the right to ask for, and the review goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deploy.audit.finding import Finding
from deploy.errors import AwsError

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
ACTIONS = {  # where IAM's name of an action is not the operation's
    "s3.ListBuckets": "s3:ListAllMyBuckets",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}


def looked(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What `look` finds, and a row of its own where it is refused."""
    try:
        yield from look()
    except AwsError as error:
        if error.code not in DENIED:
            raise
        action = ACTIONS.get(error.operation) or error.operation.replace(".", ":")
        fix = f"ask for {action} (AWS's policy SecurityAudit has what a review needs)"
        yield Finding(severity="unknown", what=what, finding=f"could not look: {error.code}", fix=fix)
