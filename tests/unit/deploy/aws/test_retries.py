"""Which refusals are waited for: each with AWS's own words, and every write that Kennel sends is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.aws.retries import PASSING_S, REFUSALS, UPDATING_S, WAKING_S, Patience, passing
from deploy.values import Request
from tests.unit.deploy.fakes import refusal
from tests.unit.deploy.golden import requests as golden

ROLE = "arn:aws:iam::123456789012:role/kennel-prod-training"
LOOKS = ("Describe", "Get", "List", "Head", "Filter", "BatchGet")

# Writes that are sent once, with the reason.
ONCE = {
    "names nothing that the same command has just made": """
        application-autoscaling.PutScalingPolicy application-autoscaling.PutScheduledAction cloudwatch.PutMetricAlarm
        ec2.CreateSecurityGroup ecr.CreateRepository iam.CreateInstanceProfile iam.CreatePolicy
        sagemaker.CreateNotebookInstanceLifecycleConfig sagemaker.UpdateNotebookInstanceLifecycleConfig
        sagemaker.StartNotebookInstance sagemaker.CreatePresignedNotebookInstanceUrl
        service-quotas.RequestServiceQuotaIncrease sagemaker-runtime.InvokeEndpoint
        sagemaker-runtime.InvokeEndpointAsync sagemaker.AddTags""",
    "ECR answers every request after the one that made a repository": """
        ecr.PutImageScanningConfiguration ecr.PutImageTagMutability ecr.PutLifecyclePolicy ecr.SetRepositoryPolicy""",
    "the bucket is known by then: the lock lies in it": """
        s3.CreateMultipartUpload s3.UploadPart s3.CompleteMultipartUpload s3.AbortMultipartUpload s3.DeleteObject
        s3.DeleteObjects""",
    "takes away what was there before this command": """
        application-autoscaling.DeleteScalingPolicy application-autoscaling.DeleteScheduledAction
        application-autoscaling.DeregisterScalableTarget cloudwatch.DeleteAlarms ec2.DeleteSecurityGroup
        ec2.RevokeSecurityGroupIngress ec2.TerminateInstances ecr.BatchDeleteImage ecr.DeleteRepository
        iam.DeleteInstanceProfile iam.DeletePolicyVersion iam.DeleteRolePermissionsBoundary
        iam.RemoveRoleFromInstanceProfile lambda.DeleteAlias lambda.DeleteFunction lambda.DeleteFunctionConcurrency
        lambda.DeleteFunctionUrlConfig lambda.DeleteProvisionedConcurrencyConfig sagemaker.DeleteEndpointConfig
        sagemaker.DeleteModel sagemaker.DeleteNotebookInstance sagemaker.DeleteNotebookInstanceLifecycleConfig
        sagemaker.StopHyperParameterTuningJob sagemaker.StopNotebookInstance sagemaker.StopTrainingJob
        sagemaker.StopTransformJob""",
}


def request(name: str, **params: str) -> Request:
    service, _, operation = name.partition(".")
    return Request(service=service, operation=operation, params=params)


@pytest.mark.parametrize(
    ("name", "code", "message", "seconds"),
    [
        ("sagemaker.CreateTrainingJob", "ValidationException", f"Could not assume role {ROLE}.", PASSING_S),
        (
            "sagemaker.CreateTrainingJob",
            "ValidationException",
            "Unauthorized to List objects under S3 URL s3://b/data",
            PASSING_S,
        ),
        (
            "sagemaker.CreateTrainingJob",
            "ValidationException",
            "Access denied to OutputDataConfig S3 bucket",
            PASSING_S,
        ),
        (
            "sagemaker.CreateTrainingJob",
            "ValidationException",
            "because no identity-based policy allows the s3:ListBucket action",
            PASSING_S,
        ),
        ("sagemaker.CreateTrainingJob", "ValidationException", "Access denied for repository: kennel-train", PASSING_S),
        (
            "sagemaker.CreateHyperParameterTuningJob",
            "ValidationException",
            'No S3 objects found under S3 URL "s3://b/data" given in input data source.',
            PASSING_S,
        ),
        (
            "sagemaker.CreateHyperParameterTuningJob",
            "ValidationException",
            "The AWS Access Key Id you provided does not exist in our records.",
            PASSING_S,
        ),
        ("sagemaker.CreateModel", "ValidationException", "Could not access model data at s3://b/m.tar.gz.", PASSING_S),
        ("sagemaker.CreateModel", "ValidationException", "words that nobody has seen yet", PASSING_S),
        ("sagemaker.CreateEndpoint", "ValidationException", 'Could not find endpoint configuration "x".', PASSING_S),
        ("sagemaker.UpdateEndpoint", "ValidationException", 'Cannot update in-progress endpoint "x".', UPDATING_S),
        (
            "application-autoscaling.RegisterScalableTarget",
            "ValidationException",
            "Unable to assume IAM role: arn:x",
            PASSING_S,
        ),
        (
            "lambda.CreateFunction",
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
            PASSING_S,
        ),
        (
            "lambda.CreateFunction",
            "InvalidParameterValueException",
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid for "
            "CreateGrant. Please check your KMS key settings.",
            PASSING_S,
        ),
        (
            "lambda.AddPermission",
            "ResourceConflictException",
            "The function could not be updated due to a concurrent update operation. Please try again later.",
            PASSING_S,
        ),
        (
            "lambda.Invoke",
            "CodeArtifactUserPendingException",
            "Lambda is initializing your function. It will be ready to invoke shortly.",
            WAKING_S,
        ),
        (
            "lambda.Invoke",
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the following state: Pending",
            WAKING_S,
        ),
        (
            "ec2.RunInstances",
            "InvalidParameterValue",
            "Value (kennel-prod-ec2) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile "
            "name",
            PASSING_S,
        ),
        (
            "ec2.RunInstances",
            "InvalidParameterValue",
            'IAM Instance Profile "arn:aws:iam::123456789012:instance-profile/kennel-prod-ec2" has no associated IAM '
            "Roles",
            PASSING_S,
        ),
        ("ec2.RunInstances", "InvalidGroup.NotFound", "The security group 'sg-1' does not exist", PASSING_S),
        (
            "iam.AddRoleToInstanceProfile",
            "NoSuchEntity",
            "The role with name kennel-prod-ec2 cannot be found.",
            PASSING_S,
        ),
        ("iam.PutRolePolicy", "NoSuchEntity", "The role with name kennel-prod-ec2 cannot be found.", PASSING_S),
        (
            "s3.PutBucketPolicy",
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
            PASSING_S,
        ),
        ("s3.PutBucketTagging", "NoSuchBucket", "The specified bucket does not exist", PASSING_S),
        ("logs.PutRetentionPolicy", "ResourceNotFoundException", "The specified log group does not exist.", PASSING_S),
    ],
)
def test_what_passes_by_itself_is_waited_for(name: str, code: str, message: str, seconds: float) -> None:
    found = passing(request(name), refusal(code, message))
    assert found is not None
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("sagemaker.CreateModel", "ValidationException", "1 validation error detected: Value at 'modelName' failed"),
        ("sagemaker.CreateModel", "ValidationException", "Requested image 1.dkr.ecr/kennel-serve@sha256:0 not found."),
        ("sagemaker.CreateModel", "ValidationException", 'Cannot create already existing model "arn:x".'),
        ("sagemaker.CreateModel", "AccessDeniedException", "not authorized to perform: sagemaker:CreateModel"),
        ("sagemaker.CreateTrainingJob", "ResourceLimitExceeded", "The account-level service limit is 0 Instances"),
        ("sagemaker.CreateTrainingJob", "AccessDeniedException", "not authorized to perform: iam:PassRole"),
        ("sagemaker.DescribeEndpointConfig", "ValidationException", 'Could not find endpoint configuration "x".'),
        ("lambda.AddPermission", "ResourceConflictException", "The statement id (a) provided already exists."),
        ("lambda.CreateFunction", "ResourceConflictException", "Function already exist: kennel-prod"),
        ("lambda.Invoke", "CodeArtifactUserFailedException", "Lambda cannot use the function's code"),
        ("lambda.GetFunction", "ResourceNotFoundException", "Function not found"),
        ("iam.GetRole", "NoSuchEntity", "The role with name kennel-prod-ec2 cannot be found."),
        ("iam.PutRolePermissionsBoundary", "NoSuchEntity", "Scope ARN: arn:x does not exist or is not attachable."),
        ("s3.GetBucketPolicy", "NoSuchBucket", "The specified bucket does not exist"),
        ("s3.PutObject", "NoSuchBucket", "The specified bucket does not exist"),
        ("ec2.RunInstances", "InvalidParameterValue", "Value (0) for parameter volumeSize is invalid"),
    ],
)
def test_a_fault_of_the_request_is_raised_at_once(name: str, code: str, message: str) -> None:
    assert passing(request(name), refusal(code, message)) is None


def test_a_new_lock_waits_for_its_bucket_and_a_renewal_of_it_does_not() -> None:
    gone = refusal("NoSuchBucket", "The specified bucket does not exist")
    assert passing(request("s3.PutObject", IfNoneMatch="*"), gone) is not None
    assert passing(request("s3.PutObject", IfMatch='"etag"'), gone) is None


def sent() -> set[str]:
    """Every operation of a golden file that changes something, as "service.Operation"."""
    folder = Path(golden.FOLDER)
    names = {f"{path.parent.name}.{json.loads(path.read_text())['operation']}" for path in folder.glob("*/*.json")}
    return {name for name in names if not name.partition(".")[2].startswith(LOOKS)}


def test_every_write_that_kennel_sends_is_waited_for_or_has_a_reason_to_be_sent_once() -> None:
    waited = {name for each in REFUSALS for name in each.operations}
    once = {name for names in ONCE.values() for name in names.split()}
    assert waited & once == set()
    assert waited | once == sent()


def test_people_are_told_once_what_is_awaited_and_how_long() -> None:
    patience, asked = Patience(began=0.0), request("ec2.RunInstances")
    error = refusal("InvalidParameterValue", "p has no associated IAM Roles")
    found = passing(asked, error)
    assert found is not None
    assert patience.news(asked, found, error) == (
        "RunInstances: waiting up to 2 minutes until EC2 knows the instance profile and its role, which takes a while "
        "after they are made (InvalidParameterValue: p has no associated IAM Roles)"
    )
    assert patience.news(asked, found, error) == ""


def test_after_waiting_in_vain_the_error_is_awss_own_with_the_time_and_what_to_look_at() -> None:
    error = refusal("ValidationException", f"Could not assume role {ROLE}.")
    found = passing(request("sagemaker.CreateModel"), error)
    assert found is not None
    last = Patience(began=0.0).in_vain(found, error, 118.0)
    assert (last.code, last.message) == (error.code, error.message)
    assert "tried again for 118 s, until SageMaker may use the role" in str(last)
    assert "it lacks a right or a trust: ./inv plan" in str(last)
