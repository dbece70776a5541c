"""The policy of the notebook instance: read data and models, invoke the endpoints, stop itself."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, allow, document
from deploy.iam.policies.training import sagemaker_trust
from deploy.iam.statements import DATA, JOBS, PICTURES


def instance_name(settings: Settings) -> str:
    return f"{settings.prefix}-notebook"


def trust(settings: Settings) -> Document:
    return sagemaker_trust(settings, "*")


def policy(settings: Settings) -> Document:
    endpoints = [settings.arn("sagemaker", f"endpoint/{name.lower()}") for name in settings.all_endpoints]
    itself = settings.arn("sagemaker", f"notebook-instance/{instance_name(settings)}")
    return document(
        (
            statements.list_bucket(settings),
            statements.read(settings, DATA, JOBS, PICTURES),
            allow("InvokeEndpoints", ["sagemaker:InvokeEndpoint"], endpoints),
            allow("StopWhenIdle", ["sagemaker:StopNotebookInstance"], [itself]),
            *statements.write_logs(settings, statements.NOTEBOOK_LOGS, streams=f"{instance_name(settings)}/*"),
            *statements.use_key(settings, ("Decrypt",)),
        )
    )
