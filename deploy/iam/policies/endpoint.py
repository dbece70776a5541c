"""What the endpoints, and batch transform with their models, may do (rules 78, 82)."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, document
from deploy.iam.policies.training import sagemaker_trust
from deploy.iam.statements import ASYNC, JOBS, TRANSFORM

KEY_USES = ("Decrypt",)


def trust(settings: Settings) -> Document:
    """Inference sends an ARN of no certain resource: the account's, and no narrower (rule 82)."""
    return sagemaker_trust(settings, "*")


def policy(settings: Settings) -> Document:
    """Reads models, pulls the serving image, logs. Answers of transform and of async endpoints go to the bucket."""
    asynchronous = any(endpoint.kind == "async" for endpoint in settings.all_endpoints.values())
    answers = [TRANSFORM, *([ASYNC] if asynchronous else [])]
    groups = [f"/aws/sagemaker/Endpoints/{name}" for name in settings.all_endpoints]
    transforms = statements.write_logs(
        settings, statements.TRANSFORM_LOGS, streams=f"{settings.prefix}-*", sid="Transform"
    )  # a group of the whole account
    return document(
        (
            statements.list_bucket(settings),
            statements.read(settings, JOBS, *answers),
            statements.write(settings, *answers),
            *statements.pull(settings, "serve"),
            statements.put_metrics("/aws/sagemaker/Endpoints", statements.TRANSFORM_LOGS),
            *statements.write_logs(settings, *groups),
            *transforms,
            *statements.use_key(settings, KEY_USES),
        )
    )
