"""The policy of the endpoints, and of batch transform with their models (rules 78, 82)."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, document
from deploy.iam.policies.training import sagemaker_trust
from deploy.iam.statements import ASYNC, JOBS, TRANSFORM

KEY_USES = ("Decrypt",)


def trust(settings: Settings) -> Document:
    """Any SageMaker resource of the account: inference sends no narrower ARN (rule 82)."""
    return sagemaker_trust(settings, "*")


def policy(settings: Settings) -> Document:
    """Reads models, pulls the serving image, writes logs, and writes the answers of transform and async endpoints."""
    asynchronous = any(endpoint.kind == "async" for endpoint in settings.all_endpoints.values())
    answers = [TRANSFORM, *([ASYNC] if asynchronous else [])]
    groups = [f"/aws/sagemaker/Endpoints/{name}" for name in settings.all_endpoints]
    transforms = statements.write_logs(
        settings, statements.TRANSFORM_LOGS, streams=f"{settings.prefix}-*", sid="Transform"
    )  # the account shares this group
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
