"""The policy of a training job on SageMaker, and who may assume its role (rules 77, 82)."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, Statement, allow, document, service_trust
from deploy.iam.statements import CHECKPOINTS, DATA, JOBS, WEIGHTS

# CreateGrant is for the disks, Encrypt for the artifact, the other two for objects uploaded in parts.
KEY_USES = ("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey")


def trust(settings: Settings) -> Document:
    """Only SageMaker, and only for jobs of our account (against the confused deputy)."""
    return sagemaker_trust(settings, "training-job/*", "hyper-parameter-tuning-job/*")


def policy(settings: Settings) -> Document:
    """Reads pictures and weights, writes models, syncs checkpoints, pulls its image, writes logs."""
    return document(
        (
            *data(settings),
            *statements.pull(settings, "train"),
            statements.put_metrics(statements.TRAINING_LOGS),
            *statements.write_logs(settings, statements.TRAINING_LOGS, streams=f"{settings.prefix}-*"),
            *statements.use_key(settings, KEY_USES),
            *statements.use_vpc(settings),
        )
    )


def data(settings: Settings) -> list[Statement]:
    """The bucket rights that training needs wherever it runs. A checkpoint deleted on the host is deleted in S3 too
    (rule 15)."""
    return [
        statements.list_bucket(settings),
        statements.read(settings, DATA, WEIGHTS, CHECKPOINTS),
        statements.write(settings, JOBS, CHECKPOINTS),
        allow("DeleteCheckpoints", ["s3:DeleteObject"], statements.objects(settings, CHECKPOINTS)),
    ]


def sagemaker_trust(settings: Settings, *resources: str) -> Document:
    """Only SageMaker, and only for these resources of our account (rule 82)."""
    arns = [settings.arn("sagemaker", resource) for resource in resources]
    return service_trust(
        ["sagemaker.amazonaws.com"],
        StringEquals={"aws:SourceAccount": settings.stage.account},
        ArnLike={"aws:SourceArn": arns if len(arns) > 1 else arns[0]},
    )
