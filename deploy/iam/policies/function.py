"""The policy of the Lambda function (rule 79)."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam import statements
from deploy.iam.document import Document, allow, document, service_trust
from deploy.iam.statements import PICTURES


def trust(_: Settings) -> Document:
    """Only Lambda. Lambda sends no source when it assumes a role, so no condition can require one."""
    return service_trust(["lambda.amazonaws.com"])


def policy(settings: Settings) -> Document:
    """Invokes the main endpoint (its ARN has the name in lower case), reads pictures of the bucket, writes logs."""
    endpoint = settings.arn("sagemaker", f"endpoint/{settings.endpoint_name.lower()}")
    group = settings.arn("logs", f"log-group:/aws/lambda/{settings.function_name}")
    return document(
        (
            allow("InvokeEndpoint", ["sagemaker:InvokeEndpoint"], [endpoint]),
            statements.read(settings, PICTURES),
            allow("LogGroup", ["logs:CreateLogGroup"], [group, f"{group}:*"]),
            allow("LogStreams", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:log-stream:*"]),
        )
    )
