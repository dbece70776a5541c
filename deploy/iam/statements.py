"""Statements that several roles share: read and write prefixes of the bucket, pull an image, write logs, use a key."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.config.settings import Settings
from deploy.iam.document import Statement, allow

# The prefixes of the bucket. A role gets only the ones that it uses.
DATA, WEIGHTS, JOBS, CHECKPOINTS = "data", "weights", "jobs", "checkpoints"
PICTURES, ASYNC, TRANSFORM = "pictures", "async", "transform"
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
TRANSFORM_LOGS = "/aws/sagemaker/TransformJobs"
NOTEBOOK_LOGS = "/aws/sagemaker/NotebookInstances"


def bucket_arn(settings: Settings) -> str:
    return f"arn:aws:s3:::{settings.bucket}"


def objects(settings: Settings, *prefixes: str) -> list[str]:
    """The ARNs of all objects under prefixes of the bucket."""
    return [f"{bucket_arn(settings)}/{prefix}/*" for prefix in prefixes]


def list_bucket(settings: Settings) -> Statement:
    return allow("ListBucket", ["s3:ListBucket"], [bucket_arn(settings)])


def read(settings: Settings, *prefixes: str) -> Statement:
    return allow("ReadObjects", ["s3:GetObject"], objects(settings, *prefixes))


def write(settings: Settings, *prefixes: str) -> Statement:
    return allow("WriteObjects", ["s3:PutObject"], objects(settings, *prefixes))


def pull(settings: Settings, image: str) -> list[Statement]:
    """To pull one image (rule 77). The token is for the whole registry, so its action takes no resource."""
    layers = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    repository = settings.arn("ecr", f"repository/{settings.repository_name(image)}")
    return [
        allow("PullImage", layers, [repository]),
        allow("Registry", ["ecr:GetAuthorizationToken"], ["*"]),
    ]


def log_group(settings: Settings, name: str) -> list[str]:
    """The two forms in which Logs writes a log group's ARN; the second includes its streams."""
    arn = settings.arn("logs", f"log-group:{name}")
    return [arn, f"{arn}:*"]


def write_logs(settings: Settings, *groups: str, streams: str = "*", sid: str = "Logs") -> list[Statement]:
    """To write streams of log groups. In a group that projects share, `streams` is the pattern of our own streams."""
    arns = [arn for group in groups for arn in log_group(settings, group)]
    places = [settings.arn("logs", f"log-group:{group}:log-stream:{streams}") for group in groups]
    return [
        allow(f"{sid}Groups", ["logs:CreateLogGroup", "logs:DescribeLogStreams"], arns),
        allow(f"{sid}Streams", ["logs:CreateLogStream", "logs:PutLogEvents"], places),
    ]


def put_metrics(*namespaces: str) -> Statement:
    """To publish metrics. The action takes no resource, so a condition limits the namespace."""
    return allow("Metrics", ["cloudwatch:PutMetricData"], ["*"], StringEquals={"cloudwatch:namespace": [*namespaces]})


def use_key(settings: Settings, actions: Sequence[str]) -> list[Statement]:
    """To use training.kms_key, which encrypts the data, if it is set."""
    key = settings.training.kms_key
    return [allow("Key", [f"kms:{action}" for action in actions], [key])] if key else []


def use_vpc(settings: Settings) -> list[Statement]:
    """To put training hosts into training.subnets, if they are set (SageMaker's guide, "Give SageMaker training jobs
    access to resources in your VPC")."""
    training = settings.training
    if not training.subnets:
        return []
    interface = settings.arn("ec2", "network-interface/*")
    places = [
        *(settings.arn("ec2", f"subnet/{each}") for each in training.subnets),
        *(settings.arn("ec2", f"security-group/{each}") for each in training.security_groups),
    ]
    looks = ["NetworkInterfaces", "Vpcs", "DhcpOptions", "Subnets", "SecurityGroups"]
    changes = ["CreateNetworkInterfacePermission", "DeleteNetworkInterface", "DeleteNetworkInterfacePermission"]
    return [
        allow("VpcHosts", ["ec2:CreateNetworkInterface"], [interface, *places]),
        allow("VpcInterfaces", [f"ec2:{change}" for change in changes], [interface]),
        allow("VpcLook", [f"ec2:Describe{each}" for each in looks], ["*"]),
    ]
