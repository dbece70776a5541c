"""What an EC2 instance that trains may do (CONTRACTS 80)."""

from __future__ import annotations

from deploy.policies import grants
from deploy.policies.document import Document, allow, document, service_trust
from deploy.policies.training import data
from deploy.settings import Settings

MESSAGES = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")


def log_group(settings: Settings) -> str:
    return f"/kennel/{settings.prefix}/ec2"


def trust(_: Settings) -> Document:
    """EC2 alone, by way of the instance profile."""
    return service_trust(["ec2.amazonaws.com"])


def policy(settings: Settings) -> Document:
    """Trains as a job on SageMaker does, and lets Session Manager in instead of a key and an open port."""
    return document(
        (
            *data(settings),
            *grants.pull(settings, "train"),
            *grants.write_logs(settings, log_group(settings)),
            allow("SessionManager", ["ssm:UpdateInstanceInformation"], [settings.arn("ec2", "instance/*")]),
            allow("SessionMessages", [f"ssmmessages:{each}" for each in MESSAGES], ["*"]),
            *grants.use_key(settings, ("Decrypt", "GenerateDataKey")),
        )
    )
