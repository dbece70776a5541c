"""Which rights each request of AWS's API needs: actions, resources and context.

Operations and rights do not bear the same names. The table follows AWS's service authorization reference; where that
is silent (what a listing or a tag needs), the guides of the services.
"""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.authorization.needs import REGION, Account, Need, Params, Rule, arn, both, fill, nothing, on

BUCKET, OBJECT = "arn:aws:s3:::{Bucket}", "arn:aws:s3:::{Bucket}/{Key}"
REPOSITORY = arn("ecr", "repository/{repositoryName}")
ROLE, PROFILE = arn("iam", "role/{RoleName}"), arn("iam", "instance-profile/{InstanceProfileName}")
ENDPOINT, CONFIG = arn("sagemaker", "endpoint/{EndpointName}"), arn("sagemaker", "endpoint-config/{EndpointConfigName}")
MODEL = arn("sagemaker", "model/{ModelName}")
TRAINING, TRANSFORM = (
    arn("sagemaker", "training-job/{TrainingJobName}"),
    arn("sagemaker", "transform-job/{TransformJobName}"),
)
TUNING = arn("sagemaker", "hyper-parameter-tuning-job/{HyperParameterTuningJobName}")
NOTEBOOK = arn("sagemaker", "notebook-instance/{NotebookInstanceName}")
LIFECYCLE = arn("sagemaker", "notebook-instance-lifecycle-config/{NotebookInstanceLifecycleConfigName}")
FUNCTION = arn("lambda", "function:{FunctionName}")
TARGET = arn("application-autoscaling", "scalable-target/*")
ALARMS = arn("cloudwatch", "alarm:{AlarmNames}")
GROUP = arn("logs", "log-group:{logGroupName}")
STREAM = arn("logs", "log-group:{logGroupName}:log-stream:{logStreamName}")
SECURITY_GROUP, INSTANCE = arn("ec2", "security-group/{GroupId}"), arn("ec2", "instance/{InstanceIds}")
NAMESPACE = {"application-autoscaling:service-namespace": "{ServiceNamespace}"}


def passing(place: str, service: str) -> Rule:
    """To hand a role to a service."""
    passed = {"iam:PassedToService": f"{service}.amazonaws.com"}
    return on("iam:PassRole", f"{{{place}}}", when=place, context=passed)


def made(action: str, template: str, *more: Rule) -> Rule:
    """To make a thing of SageMaker's: with tags, one more right."""
    return both(on(action, template), on("sagemaker:AddTags", template, when="Tags"), *more)


def of_function(*actions: str) -> Rule:
    """On a function, or on the version or alias that the request names."""
    names = " ".join(f"lambda:{action}" for action in actions)

    def needs(params: Params, account: Account) -> Iterator[Need]:
        name = str(params["FunctionName"])
        if name.startswith("arn:"):
            template = "{FunctionName}"
        else:
            template = FUNCTION.replace("function:{FunctionName}", f"function:{name.removeprefix('function:')}")
        yield from on(names, f"{template}:{{Qualifier}}" if "Qualifier" in params else template)(params, account)

    return needs


def tagged(action: str, template: str) -> Rule:
    """On a thing of EC2 that is there, under its tags."""

    def needs(params: Params, account: Account) -> Iterator[Need]:
        for resource in fill(template, params, otherwise="*"):
            yield Need(action=action, resource=resource, context=resource_tags(account, resource))

    return needs


def resource_tags(account: Account, resource: str) -> dict[str, str]:
    """The condition keys of a resource's tags."""
    return {f"aws:ResourceTag/{key}": value for key, value in account.tags(resource).items()}


def run_instances(params: Params, account: Account) -> Iterator[Need]:
    """Each thing that an instance is made of is asked for by itself; what is tagged at birth may be tagged."""
    tags = {each["ResourceType"]: each["Tags"] for each in params.get("TagSpecifications", ())}
    for kind in ("instance", "volume"):
        request_tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags.get(kind, ())}
        yield Need(action="ec2:RunInstances", resource=arn("ec2", f"{kind}/*"), context=request_tags)
        if request_tags:
            yield from _tagging(kind, request_tags, "RunInstances")
    yield Need(action="ec2:RunInstances", resource=f"arn:aws:ec2:{REGION}::image/{params['ImageId']}")
    for place in _around(params, account):
        yield Need(action="ec2:RunInstances", resource=place, context=resource_tags(account, place))
    for role in _roles(params, account):
        passed = {"iam:PassedToService": "ec2.amazonaws.com"}
        yield Need(action="iam:PassRole", resource=arn("iam", f"role/{role}"), context=passed)
    if "InstanceMarketOptions" in params:
        yield from linked(account, "spot", "AWSServiceRoleForEC2Spot")


def _around(params: Params, account: Account) -> Iterator[str]:
    """Network interface, subnet, key and security groups of a new instance."""
    interfaces = params.get("NetworkInterfaces", ())
    subnet = params.get("SubnetId") or next((each["SubnetId"] for each in interfaces if "SubnetId" in each), None)
    groups = [*params.get("SecurityGroupIds", ()), *(group for each in interfaces for group in each.get("Groups", ()))]
    yield arn("ec2", "network-interface/*")
    yield from (arn("ec2", f"subnet/{each}") for each in account.subnets(subnet))
    if "KeyName" in params:
        yield arn("ec2", f"key-pair/{params['KeyName']}")
    yield from (arn("ec2", f"security-group/{each}") for each in account.security_groups(groups))


def _roles(params: Params, account: Account) -> list[str]:
    profile = params.get("IamInstanceProfile", {})
    name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
    return account.profile_roles(name) if name else []


def create_security_group(params: Params, account: Account) -> Iterator[Need]:
    """In a VPC, tagged at birth."""
    tags = [tag for each in params.get("TagSpecifications", ()) for tag in each["Tags"]]
    request_tags = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    yield Need(action="ec2:CreateSecurityGroup", resource=arn("ec2", "security-group/*"), context=request_tags)
    yield Need(action="ec2:CreateSecurityGroup", resource=arn("ec2", f"vpc/{account.vpc(params.get('VpcId'))}"))
    if request_tags:
        yield from _tagging("security-group", request_tags, "CreateSecurityGroup")


def _tagging(kind: str, request_tags: dict[str, str], by: str) -> Iterator[Need]:
    known = {**request_tags, "ec2:CreateAction": by}
    yield Need(action="ec2:CreateTags", resource=arn("ec2", f"{kind}/*"), context=known)


def linked(account: Account, service: str, name: str) -> Iterator[Need]:
    """The role that a service makes for itself, the first time (rule 96)."""
    host = f"{service}.amazonaws.com"
    role = arn("iam", f"role/aws-service-role/{host}/{name}")
    if not account.has_linked_role(role):
        yield Need(action="iam:CreateServiceLinkedRole", resource=role, context={"iam:AWSServiceName": host})


def scaling_role(params: Params, account: Account) -> Iterator[Need]:
    host = f"{params['ServiceNamespace']}.application-autoscaling"
    names = {"sagemaker": "SageMakerEndpoint", "lambda": "LambdaConcurrency"}
    if name := names.get(params["ServiceNamespace"]):
        yield from linked(account, host, f"AWSServiceRoleForApplicationAutoScaling_{name}")


def under_boundary(action: str) -> Rule:
    """To change a role, under the boundary that it has."""

    def needs(params: Params, account: Account) -> Iterator[Need]:
        boundary = account.boundary(params["RoleName"])
        context = {"iam:PermissionsBoundary": boundary} if boundary else {}
        for resource in fill(ROLE, params, otherwise="*"):
            yield Need(action=action, resource=resource, context=context)

    return needs


def scaling(action: str, alarms: str = "") -> Rule:
    """On a scalable target. Target tracking has two alarms of its own, which the caller makes and deletes."""
    tracking = arn("cloudwatch", "alarm:TargetTracking-{ResourceId}-AlarmHigh-0123")
    return both(
        on(f"application-autoscaling:{action}", TARGET, context=NAMESPACE),
        on("application-autoscaling:TagResource", TARGET, when="Tags"),
        on(alarms, tracking),
    )


def function(names: str) -> dict[str, Rule]:
    """Operations on a function that bear their action's name."""
    return {f"lambda.{name}": of_function(name) for name in names.split()}


def alike(service: str, actions: str, *templates: str) -> dict[str, Rule]:
    """Operations that bear their action's name and need it alone."""
    prefix = {"application-autoscaling": "application-autoscaling", "service-quotas": "servicequotas"}.get(
        service, service
    )
    return {f"{service}.{each}": on(f"{prefix}:{each}", *templates) for each in actions.split()}


def renamed(service: str, template: str, **names: str) -> dict[str, Rule]:
    """Operations of one service, each with its action's name."""
    return {f"{service}.{operation}": on(f"{service}:{action}", template) for operation, action in names.items()}


OPERATIONS: dict[str, Rule] = {
    "sts.GetCallerIdentity": nothing,
    # The bucket.
    **alike("s3", "CreateBucket DeleteBucket GetBucketPolicy GetBucketTagging GetBucketVersioning", BUCKET),
    **alike("s3", "PutBucketPolicy PutBucketTagging PutBucketVersioning", BUCKET),
    **renamed(
        "s3",
        BUCKET,
        HeadBucket="ListBucket",
        ListObjectVersions="ListBucketVersions",
        ListMultipartUploads="ListBucketMultipartUploads",
        GetBucketEncryption="GetEncryptionConfiguration",
        PutBucketEncryption="PutEncryptionConfiguration",
        GetPublicAccessBlock="GetBucketPublicAccessBlock",
        PutPublicAccessBlock="PutBucketPublicAccessBlock",
        GetBucketLifecycleConfiguration="GetLifecycleConfiguration",
        PutBucketLifecycleConfiguration="PutLifecycleConfiguration",
    ),
    **{
        f"s3.{name}": on("s3:ListBucket", BUCKET, context={"s3:prefix": "{Prefix}", "s3:delimiter": "{Delimiter}"})
        for name in ("ListObjects", "ListObjectsV2")
    },
    **alike("s3", "AbortMultipartUpload GetObject PutObject", OBJECT),
    **renamed(
        "s3",
        OBJECT,
        CreateMultipartUpload="PutObject",
        UploadPart="PutObject",
        CompleteMultipartUpload="PutObject",
        HeadObject="GetObject",
        ListParts="ListMultipartUploadParts",
    ),
    "s3.DeleteObject": both(on("s3:DeleteObject", OBJECT), on("s3:DeleteObjectVersion", OBJECT, when="VersionId")),
    "s3.DeleteObjects": both(
        on("s3:DeleteObject", "arn:aws:s3:::{Bucket}/{Delete.Objects.Key}"),
        on("s3:DeleteObjectVersion", "arn:aws:s3:::{Bucket}/{Delete.Objects.Key}", when="Delete.Objects.VersionId"),
    ),
    "s3.ListBuckets": on("s3:ListAllMyBuckets", "*"),
    # The images.
    "ecr.GetAuthorizationToken": on("ecr:GetAuthorizationToken", "*"),
    "ecr.CreateRepository": both(
        on("ecr:CreateRepository", REPOSITORY), on("ecr:TagResource", REPOSITORY, when="tags")
    ),
    "ecr.DescribeRepositories": on("ecr:DescribeRepositories", arn("ecr", "repository/{repositoryNames}")),
    "ecr.ListTagsForResource": on("ecr:ListTagsForResource", "{resourceArn}"),
    "ecr.TagResource": on("ecr:TagResource", "{resourceArn}"),
    **alike("ecr", "BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload", REPOSITORY),
    **alike("ecr", "DeleteRepository DescribeImageScanFindings DescribeImages GetDownloadUrlForLayer", REPOSITORY),
    **alike("ecr", "GetLifecyclePolicy GetRepositoryPolicy InitiateLayerUpload ListImages PutImage", REPOSITORY),
    **alike("ecr", "PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy", REPOSITORY),
    **alike("ecr", "SetRepositoryPolicy UploadLayerPart", REPOSITORY),
    # The roles.
    "iam.CreateRole": both(
        on("iam:CreateRole", ROLE, context={"iam:PermissionsBoundary": "{PermissionsBoundary}"}),
        on("iam:TagRole", ROLE, when="Tags"),
    ),
    **alike(
        "iam", "DeleteRole GetRole GetRolePolicy ListRoleTags ListAttachedRolePolicies UpdateAssumeRolePolicy", ROLE
    ),
    **{
        f"iam.{name}": under_boundary(f"iam:{name}")
        for name in ("DeleteRolePermissionsBoundary", "DeleteRolePolicy", "PutRolePolicy")
    },
    "iam.PutRolePermissionsBoundary": on(
        "iam:PutRolePermissionsBoundary", ROLE, context={"iam:PermissionsBoundary": "{PermissionsBoundary}"}
    ),
    **alike("iam", "ListInstanceProfiles ListPolicies ListRoles", "*"),
    **alike("iam", "GetPolicy GetPolicyVersion ListPolicyTags", "{PolicyArn}"),
    **alike("iam", "DeleteInstanceProfile GetInstanceProfile RemoveRoleFromInstanceProfile", PROFILE),
    "iam.CreateInstanceProfile": both(
        on("iam:CreateInstanceProfile", PROFILE), on("iam:TagInstanceProfile", PROFILE, when="Tags")
    ),
    "iam.AddRoleToInstanceProfile": both(
        on("iam:AddRoleToInstanceProfile", PROFILE),
        on("iam:PassRole", ROLE, context={"iam:PassedToService": "ec2.amazonaws.com"}),
    ),
    # Jobs.
    "sagemaker.CreateTrainingJob": made("sagemaker:CreateTrainingJob", TRAINING, passing("RoleArn", "sagemaker")),
    "sagemaker.CreateHyperParameterTuningJob": made(
        "sagemaker:CreateHyperParameterTuningJob",
        TUNING,
        passing("TrainingJobDefinition.RoleArn", "sagemaker"),
        passing("TrainingJobDefinitions.RoleArn", "sagemaker"),
    ),
    "sagemaker.CreateTransformJob": made("sagemaker:CreateTransformJob", TRANSFORM),
    **alike("sagemaker", "DeleteTrainingJob DescribeTrainingJob StopTrainingJob UpdateTrainingJob", TRAINING),
    **alike("sagemaker", "DescribeTransformJob StopTransformJob", TRANSFORM),
    **alike("sagemaker", "DescribeHyperParameterTuningJob StopHyperParameterTuningJob", TUNING),
    **alike("sagemaker", "DeleteHyperParameterTuningJob ListTrainingJobsForHyperParameterTuningJob", TUNING),
    **alike("sagemaker", "ListHyperParameterTuningJobs ListTrainingJobs ListTransformJobs", "*"),
    "sagemaker.ListTags": on("sagemaker:ListTags", "{ResourceArn}"),
    "sagemaker.AddTags": on("sagemaker:AddTags", "{ResourceArn}"),
    # Endpoints.
    "sagemaker.CreateModel": made("sagemaker:CreateModel", MODEL, passing("ExecutionRoleArn", "sagemaker")),
    "sagemaker.CreateEndpointConfig": made("sagemaker:CreateEndpointConfig", CONFIG),
    "sagemaker.CreateEndpoint": made("sagemaker:CreateEndpoint", ENDPOINT, on("sagemaker:CreateEndpoint", CONFIG)),
    "sagemaker.UpdateEndpoint": on("sagemaker:UpdateEndpoint", ENDPOINT, CONFIG),
    **alike("sagemaker", "DeleteModel DescribeModel", MODEL),
    **alike("sagemaker", "DeleteEndpointConfig DescribeEndpointConfig", CONFIG),
    **alike("sagemaker", "DeleteEndpoint DescribeEndpoint UpdateEndpointWeightsAndCapacities", ENDPOINT),
    **alike("sagemaker", "ListEndpointConfigs ListEndpoints ListModels", "*"),
    "sagemaker-runtime.InvokeEndpoint": on("sagemaker:InvokeEndpoint", ENDPOINT),
    "sagemaker-runtime.InvokeEndpointAsync": on("sagemaker:InvokeEndpointAsync", ENDPOINT),
    # Scaling and alarms.
    "application-autoscaling.RegisterScalableTarget": both(scaling("RegisterScalableTarget"), scaling_role),
    "application-autoscaling.DeregisterScalableTarget": scaling("DeregisterScalableTarget", "cloudwatch:DeleteAlarms"),
    "application-autoscaling.PutScalingPolicy": scaling("PutScalingPolicy", "cloudwatch:PutMetricAlarm"),
    "application-autoscaling.DeleteScalingPolicy": scaling("DeleteScalingPolicy", "cloudwatch:DeleteAlarms"),
    "application-autoscaling.PutScheduledAction": scaling("PutScheduledAction"),
    "application-autoscaling.DeleteScheduledAction": scaling("DeleteScheduledAction"),
    **alike("application-autoscaling", "ListTagsForResource TagResource", TARGET),
    **alike("application-autoscaling", "DescribeScalableTargets DescribeScalingActivities", "*"),
    **alike("application-autoscaling", "DescribeScalingPolicies DescribeScheduledActions", "*"),
    "cloudwatch.PutMetricAlarm": both(
        on("cloudwatch:PutMetricAlarm", arn("cloudwatch", "alarm:{AlarmName}")),
        on("cloudwatch:TagResource", arn("cloudwatch", "alarm:{AlarmName}"), when="Tags"),
    ),
    "cloudwatch.DeleteAlarms": on("cloudwatch:DeleteAlarms", ALARMS),
    "cloudwatch.DescribeAlarms": on("cloudwatch:DescribeAlarms", "*"),
    "cloudwatch.ListTagsForResource": on("cloudwatch:ListTagsForResource", "{ResourceARN}"),
    **alike("cloudwatch", "GetMetricData GetMetricStatistics ListMetrics", "*"),
    # The function.
    "lambda.CreateFunction": both(
        of_function("CreateFunction"), on("lambda:TagResource", FUNCTION, when="Tags"), passing("Role", "lambda")
    ),
    "lambda.UpdateFunctionConfiguration": both(of_function("UpdateFunctionConfiguration"), passing("Role", "lambda")),
    "lambda.Invoke": of_function("InvokeFunction"),
    "lambda.ListTags": on("lambda:ListTags", "{Resource}"),
    "lambda.TagResource": on("lambda:TagResource", "{Resource}"),
    "lambda.GetAccountSettings": on("lambda:GetAccountSettings", "*"),
    "lambda.ListFunctions": on("lambda:ListFunctions", "*"),
    **function("AddPermission CreateAlias CreateFunctionUrlConfig DeleteAlias DeleteFunction GetAlias GetFunction"),
    **function("DeleteFunctionConcurrency DeleteFunctionUrlConfig DeleteProvisionedConcurrencyConfig GetPolicy"),
    **function("GetFunctionConcurrency GetFunctionConfiguration GetFunctionUrlConfig ListAliases UpdateAlias"),
    **function("GetProvisionedConcurrencyConfig ListProvisionedConcurrencyConfigs ListVersionsByFunction"),
    **function("ListFunctionUrlConfigs PublishVersion PutFunctionConcurrency PutProvisionedConcurrencyConfig"),
    **function("RemovePermission UpdateFunctionCode UpdateFunctionUrlConfig"),
    # Logs.
    "logs.CreateLogGroup": both(on("logs:CreateLogGroup", GROUP), on("logs:TagResource", GROUP, when="tags")),
    "logs.DescribeLogGroups": on("logs:DescribeLogGroups", "*"),
    **alike("logs", "DeleteLogGroup DescribeLogStreams FilterLogEvents PutRetentionPolicy", GROUP),
    **alike("logs", "DeleteLogStream GetLogEvents", STREAM),
    **alike("logs", "ListTagsForResource TagResource", "{resourceArn}"),
    # EC2.
    "ec2.RunInstances": run_instances,
    "ec2.CreateSecurityGroup": create_security_group,
    "ec2.TerminateInstances": tagged("ec2:TerminateInstances", INSTANCE),
    "ec2.GetConsoleOutput": tagged("ec2:GetConsoleOutput", arn("ec2", "instance/{InstanceId}")),
    **{
        f"ec2.{name}": tagged(f"ec2:{name}", SECURITY_GROUP)
        for name in ("AuthorizeSecurityGroupIngress", "DeleteSecurityGroup", "RevokeSecurityGroupIngress")
    },
    **alike("ec2", "DescribeImages DescribeInstances DescribeSecurityGroups DescribeSubnets", "*"),
    "ssm.GetParameter": on("ssm:GetParameter", arn("ssm", "parameter{Name}")),
    # The notebook.
    "sagemaker.CreateNotebookInstance": made(
        "sagemaker:CreateNotebookInstance", NOTEBOOK, passing("RoleArn", "sagemaker")
    ),
    "sagemaker.CreateNotebookInstanceLifecycleConfig": made(
        "sagemaker:CreateNotebookInstanceLifecycleConfig", LIFECYCLE
    ),
    **alike("sagemaker", "CreatePresignedNotebookInstanceUrl DeleteNotebookInstance", NOTEBOOK),
    **alike("sagemaker", "DescribeNotebookInstance StartNotebookInstance StopNotebookInstance", NOTEBOOK),
    "sagemaker.UpdateNotebookInstance": both(
        on("sagemaker:UpdateNotebookInstance", NOTEBOOK), passing("RoleArn", "sagemaker")
    ),
    **alike("sagemaker", "DeleteNotebookInstanceLifecycleConfig DescribeNotebookInstanceLifecycleConfig", LIFECYCLE),
    **alike("sagemaker", "UpdateNotebookInstanceLifecycleConfig", LIFECYCLE),
    **alike("sagemaker", "ListNotebookInstanceLifecycleConfigs ListNotebookInstances", "*"),
    # The audit, of the whole account.
    **alike("iam", "GetAccountAuthorizationDetails GetAccountSummary ListUsers", "*"),
    "iam.GetAccessKeyLastUsed": on("iam:GetAccessKeyLastUsed", arn("iam", "user/*")),
    **{
        f"iam.{name}": on(f"iam:{name}", arn("iam", "user/{UserName}"))
        for name in ("GetLoginProfile", "ListAccessKeys", "ListMFADevices")
    },
    **alike("s3", "GetBucketAcl GetBucketPolicyStatus", BUCKET),
    # Quotas and prices.
    **alike(
        "service-quotas",
        "ListAWSDefaultServiceQuotas ListServiceQuotas ListRequestedServiceQuotaChangeHistory",
        "*",
    ),
    "service-quotas.GetServiceQuota": on(
        "servicequotas:GetServiceQuota", arn("servicequotas", "{ServiceCode}/{QuotaCode}")
    ),
    "service-quotas.RequestServiceQuotaIncrease": both(
        on("servicequotas:RequestServiceQuotaIncrease", arn("servicequotas", "{ServiceCode}/{QuotaCode}")),
        lambda _, account: linked(account, "servicequotas", "AWSServiceRoleForServiceQuotas"),
    ),
    **alike("pricing", "GetProducts", "*"),
}
