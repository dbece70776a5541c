"""The policy of an EC2 instance that trains (rule 80)."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, allow, document, service_trust
from deploy.iam.policies.training import data

MESSAGES = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")


def log_group(settings: Settings) -> str:
    return f"/kennel/{settings.prefix}/ec2"


def trust(_: Settings) -> Document:
    """Only EC2, through the instance profile."""
    return service_trust(["ec2.amazonaws.com"])


def policy(settings: Settings) -> Document:
    """The rights of a training job, and Session Manager, which needs neither a key nor an open port."""
    return document(
        (
            *data(settings),
            *statements.pull(settings, "train"),
            *statements.write_logs(settings, log_group(settings)),
            allow("SessionManager", ["ssm:UpdateInstanceInformation"], [settings.arn("ec2", "instance/*")]),
            allow("SessionMessages", [f"ssmmessages:{each}" for each in MESSAGES], ["*"]),
            *statements.use_key(settings, ("Decrypt", "GenerateDataKey")),
        )
    )
