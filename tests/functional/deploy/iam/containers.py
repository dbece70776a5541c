"""The calls that containers make with each role, or AWS on their behalf, and similar calls that must be denied. One
table a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.authorization.needs import Need, arn

BUCKET = "arn:aws:s3:::kennel-local-123456789012-us-east-1"
OTHER_BUCKET = "arn:aws:s3:::kennel-prod-123456789012-us-east-1"
TRAINING_LOGS = "log-group:/aws/sagemaker/TrainingJobs"
STREAM = "log-stream:kennel-local-train-0123456789/algo-1-1700000000"
ENDPOINT_LOGS = "log-group:/aws/sagemaker/Endpoints/kennel-local"
TRANSFORM_LOGS = "log-group:/aws/sagemaker/TransformJobs"
FUNCTION_LOGS = "log-group:/aws/lambda/kennel-local-classify"
EC2_LOGS = "log-group:/kennel/kennel-local/ec2"
NOTEBOOK_LOGS = "log-group:/aws/sagemaker/NotebookInstances"


def wants(actions: str, *resources: str, **context: Any) -> list[Need]:
    """Each action (words) on each resource. Of context keys, the service's `:` is written `__`."""
    known = {key.replace("__", ":"): value for key, value in context.items()}
    return [
        Need(action=action, resource=resource, context=known) for action in actions.split() for resource in resources
    ]


def pulls(image: str) -> list[Need]:
    layers = "ecr:BatchCheckLayerAvailability ecr:GetDownloadUrlForLayer ecr:BatchGetImage"
    return [
        *wants("ecr:GetAuthorizationToken", "*"),
        *wants(layers, arn("ecr", f"repository/kennel-local/{image}")),
    ]


def logs(group: str, stream: str) -> list[Need]:
    """A group is made where there is none, its streams are looked for, made and written."""
    return [
        *wants("logs:CreateLogGroup logs:DescribeLogStreams", arn("logs", group)),
        *wants("logs:CreateLogStream logs:PutLogEvents", arn("logs", f"{group}:{stream}")),
    ]


def trains() -> list[Need]:
    """Training itself, wherever it runs: channels are listed and read, a model and checkpoints are written, and what
    the loop deletes of its checkpoints goes from S3 too (train/learning/checkpoint.py)."""
    return [
        *wants("s3:ListBucket", BUCKET),
        *wants("s3:GetObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg", f"{BUCKET}/weights/resnet50.safetensors"),
        *wants("s3:GetObject s3:PutObject s3:DeleteObject", f"{BUCKET}/checkpoints/kennel-local-train-1/last.pt"),
        *wants("s3:PutObject", f"{BUCKET}/jobs/kennel-local-train-1/output/model.tar.gz"),
        *pulls("train"),
    ]


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a role must be allowed, and what not."""

    allowed: Sequence[Need]
    denied: Sequence[Need]


# What no role of the stage may do, whatever it is for.
NEVER = [
    *wants("s3:ListAllMyBuckets", "*"),
    *wants("s3:GetObject s3:PutObject", f"{OTHER_BUCKET}/data/secret.jpg", f"{BUCKET}/locks/change.json"),
    *wants("s3:ListBucket s3:DeleteBucket s3:PutBucketPolicy", OTHER_BUCKET),
    *wants("s3:DeleteBucket s3:PutBucketPolicy", BUCKET),
    *wants("iam:PassRole iam:PutRolePolicy", arn("iam", "role/kennel-local-training")),
    *wants("sts:AssumeRole", arn("iam", "role/kennel-local-deployer")),
    *wants(
        "ecr:BatchGetImage", arn("ecr", "repository/kennel-prod/train"), arn("ecr", "repository/kennel-local/lambda")
    ),
    *wants("ecr:PutImage", arn("ecr", "repository/kennel-local/train")),
    *wants("logs:PutLogEvents", arn("logs", f"{TRAINING_LOGS}:log-stream:other-job/algo-1-1")),
    *wants("logs:PutLogEvents", arn("logs", "log-group:/aws/lambda/other:log-stream:1")),
    *wants("logs:DeleteLogGroup", arn("logs", TRAINING_LOGS)),
    *wants("sagemaker:CreateTrainingJob", arn("sagemaker", "training-job/kennel-local-train-1")),
    *wants("sagemaker:InvokeEndpoint", arn("sagemaker", "endpoint/other")),
    *wants("lambda:InvokeFunction", arn("lambda", "function:kennel-local-classify")),
    *wants("cloudwatch:PutMetricData", "*", cloudwatch__namespace="AWS/Billing"),
]

USES: Mapping[str, Use] = {
    "training": Use(
        allowed=[
            *trains(),
            *wants("cloudwatch:PutMetricData", "*", cloudwatch__namespace="/aws/sagemaker/TrainingJobs"),
            *logs(TRAINING_LOGS, STREAM),
        ],
        denied=[
            *wants("s3:DeleteObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg", f"{BUCKET}/jobs/j/model.tar.gz"),
            *wants("s3:PutObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg"),
            *wants("ecr:BatchGetImage", arn("ecr", "repository/kennel-local/serve")),
        ],
    ),
    "endpoint": Use(
        allowed=[
            *wants("s3:ListBucket", BUCKET),
            *wants("s3:GetObject", f"{BUCKET}/jobs/kennel-local-train-1/output/model.tar.gz"),
            *wants("s3:GetObject s3:PutObject", f"{BUCKET}/transform/groceries/1.jpg.out"),
            *pulls("serve"),
            *wants("cloudwatch:PutMetricData", "*", cloudwatch__namespace="/aws/sagemaker/Endpoints"),
            *wants("cloudwatch:PutMetricData", "*", cloudwatch__namespace="/aws/sagemaker/TransformJobs"),
            *logs(ENDPOINT_LOGS, "log-stream:main/i-0123456789"),
            *logs(TRANSFORM_LOGS, "log-stream:kennel-local-transform-1/i-0123456789"),
        ],
        denied=[
            *wants("s3:PutObject s3:DeleteObject", f"{BUCKET}/jobs/kennel-local-train-1/output/model.tar.gz"),
            *wants("s3:GetObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg", f"{BUCKET}/async/bulk/1.out"),
            *wants("ecr:BatchGetImage", arn("ecr", "repository/kennel-local/train")),
        ],
    ),
    "lambda": Use(
        allowed=[
            *wants("sagemaker:InvokeEndpoint", arn("sagemaker", "endpoint/kennel-local")),
            *wants("s3:GetObject", f"{BUCKET}/pictures/dog.jpg"),
            *wants("logs:CreateLogGroup", arn("logs", FUNCTION_LOGS)),
            *wants(
                "logs:CreateLogStream logs:PutLogEvents", arn("logs", f"{FUNCTION_LOGS}:log-stream:2026/11/21/[1]a")
            ),
        ],
        denied=[
            *wants("sagemaker:InvokeEndpoint", arn("sagemaker", "endpoint/kennel-local-second")),
            *wants("sagemaker:DescribeEndpoint", arn("sagemaker", "endpoint/kennel-local")),
            *wants("s3:GetObject", f"{BUCKET}/jobs/kennel-local-train-1/output/model.tar.gz"),
            *wants("s3:ListBucket", BUCKET),
            *wants("ecr:GetAuthorizationToken", "*"),
        ],
    ),
    "ec2": Use(
        allowed=[
            *trains(),
            *logs(EC2_LOGS, STREAM),
            *wants("ssm:UpdateInstanceInformation", arn("ec2", "instance/i-1")),
            *wants("ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel", "*"),
            *wants("ssmmessages:OpenControlChannel ssmmessages:OpenDataChannel", "*"),
        ],
        denied=[
            *wants("s3:DeleteObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg"),
            *wants("ec2:RunInstances ec2:TerminateInstances", arn("ec2", "instance/i-1")),
            *wants("ssm:GetParameter", arn("ssm", "parameter/secret")),
        ],
    ),
    "notebook": Use(
        allowed=[
            *wants("s3:ListBucket", BUCKET),
            *wants(
                "s3:GetObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg", f"{BUCKET}/jobs/j/output/model.tar.gz"
            ),
            *wants("s3:GetObject", f"{BUCKET}/pictures/dog.jpg"),
            *wants("sagemaker:InvokeEndpoint", arn("sagemaker", "endpoint/kennel-local")),
            *wants("sagemaker:StopNotebookInstance", arn("sagemaker", "notebook-instance/kennel-local-notebook")),
            *logs(NOTEBOOK_LOGS, "log-stream:kennel-local-notebook/jupyter.log"),
        ],
        denied=[
            *wants("s3:PutObject", f"{BUCKET}/data/groceries/train/Apple/1.jpg"),
            *wants("sagemaker:StopNotebookInstance", arn("sagemaker", "notebook-instance/other")),
            *wants("sagemaker:StartNotebookInstance", arn("sagemaker", "notebook-instance/kennel-local-notebook")),
        ],
    ),
}
