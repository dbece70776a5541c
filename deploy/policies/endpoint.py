"""What the endpoints, and batch transform with their models, may do (CONTRACTS 78, 82)."""

from __future__ import annotations

from deploy.policies import grants
from deploy.policies.document import Document, document
from deploy.policies.grants import ASYNC, JOBS, TRANSFORM
from deploy.policies.training import sagemaker_trust
from deploy.settings import Settings

KEY_USES = ("Decrypt",)


def trust(settings: Settings) -> Document:
    """Inference sends an ARN of no certain resource: the account's, and no narrower (CONTRACTS 82)."""
    return sagemaker_trust(settings, "*")


def policy(settings: Settings) -> Document:
    """Reads models, pulls the serving image, logs. Answers of transform and of async endpoints go to the bucket."""
    asynchronous = any(endpoint.kind == "async" for endpoint in settings.all_endpoints.values())
    answers = [TRANSFORM, *([ASYNC] if asynchronous else [])]
    groups = [f"/aws/sagemaker/Endpoints/{name}" for name in settings.all_endpoints]
    transforms = grants.write_logs(
        settings, grants.TRANSFORM_LOGS, streams=f"{settings.prefix}-*", sid="Transform"
    )  # a group of the whole account
    return document(
        (
            grants.list_bucket(settings),
            grants.read(settings, JOBS, *answers),
            grants.write(settings, *answers),
            *grants.pull(settings, "serve"),
            grants.put_metrics("/aws/sagemaker/Endpoints", grants.TRANSFORM_LOGS),
            *grants.write_logs(settings, *groups),
            *transforms,
            *grants.use_key(settings, KEY_USES),
        )
    )
