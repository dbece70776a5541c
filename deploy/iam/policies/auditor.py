"""The policy for `./inv audit`, which reads the whole account and so is not part of the deployer's rights."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.iam.document import Document, allow, document

READS = (
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:GetMetricStatistics",
    "ec2:DescribeSecurityGroups",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountSummary",
    "iam:GetLoginProfile",
    "iam:ListAccessKeys",
    "iam:ListMFADevices",
    "iam:ListUsers",
    "s3:GetBucketAcl",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:ListAllMyBuckets",
    "sagemaker:DescribeEndpoint",
    "sagemaker:ListEndpoints",
)


def policy(_: Settings) -> Document:
    return document([allow("Audit", READS, ["*"])])
