"""The rights of operations that no command of Kennel's deployer calls: administrators, containers and notebooks do."""

from collections.abc import Iterator
from urllib.parse import unquote

from localcloud.authorization.needs import Account, Need, Params, Rule, arn, both, nothing, on
from localcloud.authorization.operations import (
    BUCKET,
    GROUP,
    INSTANCE,
    OBJECT,
    OPERATIONS,
    PROFILE,
    REPOSITORY,
    ROLE,
    STREAM,
    alike,
    of_function,
    tagged,
)

USER, IAM_GROUP = arn("iam", "user/{UserName}"), arn("iam", "group/{GroupName}")


def policy(params: Params, account: Account) -> Iterator[Need]:
    """CreatePolicy: the policy's ARN holds its path."""
    yield from on("iam:CreatePolicy", arn("iam", f"policy{params.get('Path', '/')}{{PolicyName}}"))(params, account)
    yield from on("iam:TagPolicy", arn("iam", "policy/{PolicyName}"), when="Tags")(params, account)


def attaching(action: str, template: str) -> Rule:
    """To attach a policy to somebody, or take it away."""
    return on(action, template, context={"iam:PolicyARN": "{PolicyArn}"})


def copy(params: Params, account: Account) -> Iterator[Need]:
    """CopyObject and UploadPartCopy: read the source, write the target."""
    source = unquote(str(params["CopySource"]).lstrip("/").partition("?")[0])
    yield Need(action="s3:GetObject", resource=f"arn:aws:s3:::{source}")
    yield from on("s3:PutObject", OBJECT)(params, account)


OTHERS: dict[str, Rule] = {
    # Sessions. A trust policy is the role's own policy, so both sides are judged.
    "sts.AssumeRole": on("sts:AssumeRole", "{RoleArn}", context={"sts:ExternalId": "{ExternalId}"}),
    "sts.GetAccessKeyInfo": nothing,
    # Administrators.
    "iam.CreatePolicy": policy,
    **alike("iam", "CreatePolicyVersion DeletePolicy DeletePolicyVersion ListPolicyVersions", "{PolicyArn}"),
    **alike("iam", "ListEntitiesForPolicy SetDefaultPolicyVersion TagPolicy UntagPolicy", "{PolicyArn}"),
    **{f"iam.{name}": attaching(f"iam:{name}", ROLE) for name in ("AttachRolePolicy", "DetachRolePolicy")},
    **{f"iam.{name}": attaching(f"iam:{name}", USER) for name in ("AttachUserPolicy", "DetachUserPolicy")},
    **{f"iam.{name}": attaching(f"iam:{name}", IAM_GROUP) for name in ("AttachGroupPolicy", "DetachGroupPolicy")},
    **alike("iam", "ListInstanceProfilesForRole ListRolePolicies TagRole UntagRole UpdateRole", ROLE),
    **alike("iam", "CreateGroup DeleteGroup DeleteGroupPolicy PutGroupPolicy", IAM_GROUP),
    **alike("iam", "AddUserToGroup RemoveUserFromGroup", IAM_GROUP),
    **alike("iam", "CreateUser DeleteAccessKey DeleteUser DeleteUserPolicy PutUserPolicy UpdateAccessKey", USER),
    **alike("iam", "ListAttachedUserPolicies ListGroupsForUser ListUserPolicies", USER),
    **{f"iam.{name}": on(f"iam:{name}", USER) for name in ("CreateAccessKey", "GetUser")},
    **alike("iam", "TagInstanceProfile UntagInstanceProfile", PROFILE),
    # Objects and buckets.
    "s3.CopyObject": copy,
    "s3.UploadPartCopy": copy,
    **alike("s3", "DeleteObjectTagging GetObjectAcl GetObjectAttributes GetObjectTagging PutObjectTagging", OBJECT),
    **alike("s3", "DeleteBucketPolicy GetBucketLocation", BUCKET),
    "s3.DeleteBucketTagging": on("s3:PutBucketTagging", BUCKET),
    "s3.DeleteBucketLifecycle": on("s3:PutLifecycleConfiguration", BUCKET),
    # Images.
    **alike("ecr", "DeleteLifecyclePolicy DeleteRepositoryPolicy StartImageScan", REPOSITORY),
    "ecr.UntagResource": on("ecr:UntagResource", "{resourceArn}"),
    # What containers and their agents write.
    **alike("logs", "CreateLogStream PutLogEvents", STREAM),
    "logs.DeleteRetentionPolicy": on("logs:DeleteRetentionPolicy", GROUP),
    "logs.UntagResource": on("logs:UntagResource", "{resourceArn}"),
    "cloudwatch.PutMetricData": on("cloudwatch:PutMetricData", "*", context={"cloudwatch:namespace": "{Namespace}"}),
    # Instances, tags and functions.
    "ec2.StartInstances": tagged("ec2:StartInstances", INSTANCE),
    "ec2.StopInstances": tagged("ec2:StopInstances", INSTANCE),
    **alike("ec2", "DescribeRegions DescribeTags DescribeVolumes DescribeVpcs", "*"),
    "sagemaker.DeleteTags": on("sagemaker:DeleteTags", "{ResourceArn}"),
    "lambda.UntagResource": on("lambda:UntagResource", "{Resource}"),
    "lambda.InvokeWithResponseStream": of_function("InvokeFunction"),
    "sagemaker-runtime.InvokeEndpointWithResponseStream": both(
        on("sagemaker:InvokeEndpointWithResponseStream", arn("sagemaker", "endpoint/{EndpointName}"))
    ),
}

EVERY: dict[str, Rule] = {**OTHERS, **OPERATIONS}
