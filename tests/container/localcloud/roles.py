"""Roles that SageMaker and Lambda can assume, for tests that need any role."""

import json

import boto3
from botocore.exceptions import ClientError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}


def make_roles(endpoint_url: str, *names: str) -> None:
    """Create roles with these names in the localcloud at `endpoint_url`."""
    iam = boto3.client(
        "iam", endpoint_url=endpoint_url, region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    for name in names:
        try:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise
