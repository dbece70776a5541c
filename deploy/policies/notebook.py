"""What the notebook instance may do: look at the data and the models, ask the endpoints, stop itself."""

from __future__ import annotations

from deploy.policies import grants
from deploy.policies.document import Document, allow, document
from deploy.policies.grants import DATA, JOBS, PICTURES
from deploy.policies.training import sagemaker_trust
from deploy.settings import Settings


def instance_name(settings: Settings) -> str:
    return f"{settings.prefix}-notebook"


def trust(settings: Settings) -> Document:
    return sagemaker_trust(settings, "*")


def policy(settings: Settings) -> Document:
    endpoints = [settings.arn("sagemaker", f"endpoint/{name.lower()}") for name in settings.all_endpoints]
    itself = settings.arn("sagemaker", f"notebook-instance/{instance_name(settings)}")
    return document(
        (
            grants.list_bucket(settings),
            grants.read(settings, DATA, JOBS, PICTURES),
            allow("InvokeEndpoints", ["sagemaker:InvokeEndpoint"], endpoints),
            allow("StopWhenIdle", ["sagemaker:StopNotebookInstance"], [itself]),
            *grants.write_logs(settings, grants.NOTEBOOK_LOGS, streams=f"{instance_name(settings)}/*"),
            *grants.use_key(settings, ("Decrypt",)),
        )
    )
