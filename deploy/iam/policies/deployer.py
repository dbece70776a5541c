"""The policies of whoever runs ./inv, a person or CI: every call that deploy/ makes, on this stage's resources only.

Names of models, configurations and jobs hold a hash, so the stage's prefix limits them; a fixed name limits the rest.
Only lists, and actions that take no resource, are allowed on everything (rule 81).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.config.settings import Settings
from deploy.iam import statements as grants
from deploy.iam.document import Document, Statement, allow, document, managed, principal_trust
from deploy.iam.policies import ec2

# The service that assumes each role of the stage.
ASSUMED_BY: Mapping[str, str] = {
    "training": "sagemaker.amazonaws.com",
    "endpoint": "sagemaker.amazonaws.com",
    "notebook": "sagemaker.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "ec2": "ec2.amazonaws.com",
}
# The roles that services create for themselves, by the service that assumes them (rule 96): scaling (rule 52), spot
# instances, requests for quotas.
LINKED: Mapping[str, str] = {
    "sagemaker.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    "lambda.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "servicequotas.amazonaws.com": "AWSServiceRoleForServiceQuotas",
}


def trust(settings: Settings) -> Document:
    """Trusts iam.deployer_principal of deploy.toml."""
    return principal_trust(settings.iam.deployer_principal)


def policies(settings: Settings) -> dict[str, Document]:
    """The documents by topic, because together they are too long for one managed policy. Raises DeployError when one is
    too long by itself."""
    topics = {
        "storage": [*_bucket(settings), *_images(settings), *_logs(settings)],
        "rights": _roles(settings),
        "serving": [*_jobs(settings), *_endpoints(settings), *_scaling(settings), *_notebook(settings)],
        "calling": [*_function(settings), *_instances(settings), *_account(settings)],
    }
    return {topic: managed(document(statements), topic) for topic, statements in topics.items()}


def _of(service: str, names: str) -> list[str]:
    return [f"{service}:{name}" for name in names.split()]


def _bucket(settings: Settings) -> list[Statement]:
    bucket = grants.bucket_arn(settings)
    looks = "GetBucketPolicy GetBucketPublicAccessBlock GetBucketTagging GetBucketVersioning "
    looks += "GetEncryptionConfiguration GetLifecycleConfiguration ListBucket ListBucketMultipartUploads "
    looks += "ListBucketVersions"
    changes = "CreateBucket DeleteBucket PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging "
    changes += "PutBucketVersioning PutEncryptionConfiguration PutLifecycleConfiguration"
    things = "AbortMultipartUpload DeleteObject DeleteObjectVersion GetObject ListMultipartUploadParts PutObject"
    return [
        allow("Bucket", _of("s3", f"{looks} {changes}"), [bucket]),
        allow("Objects", _of("s3", things), [f"{bucket}/*"]),
    ]


def _images(settings: Settings) -> list[Statement]:
    repositories = [
        settings.arn("ecr", f"repository/{settings.repository_name(kind)}") for kind in ("train", "serve", "lambda")
    ]
    looks = "BatchCheckLayerAvailability BatchGetImage DescribeImages DescribeRepositories "
    looks += "GetDownloadUrlForLayer GetLifecyclePolicy GetRepositoryPolicy ListTagsForResource"
    changes = "BatchDeleteImage CompleteLayerUpload CreateRepository DeleteRepository InitiateLayerUpload PutImage "
    changes += "PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy SetRepositoryPolicy TagResource "
    changes += "UploadLayerPart"
    return [allow("Images", _of("ecr", f"{looks} {changes}"), repositories)]


def _roles(settings: Settings) -> list[Statement]:
    """To create the stage's roles and pass each to its service. If a boundary is set, every role must have it."""
    roles = [settings.arn("iam", f"role/{settings.role_name(purpose)}") for purpose in ASSUMED_BY]
    deployer = settings.arn("iam", f"role/{settings.role_name('deployer')}")
    policies = settings.arn("iam", f"policy/{settings.role_name('deployer')}-*")
    profile = settings.arn("iam", f"instance-profile/{settings.role_name('ec2')}")
    boundary = settings.iam.permissions_boundary
    bounds: dict[str, Any] = {"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else {}
    grown = "CreateRole PutRolePermissionsBoundary PutRolePolicy"
    plain = "DeleteRole DeleteRolePolicy TagRole UpdateAssumeRolePolicy"
    profiles = "AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile "
    profiles += "RemoveRoleFromInstanceProfile TagInstanceProfile"
    return [
        allow(
            "RolesLook", _of("iam", "GetRole GetRolePolicy ListAttachedRolePolicies ListRoleTags"), [*roles, deployer]
        ),
        allow("PoliciesLook", _of("iam", "GetPolicy GetPolicyVersion ListPolicyTags"), [policies]),
        allow("RolesGrow", _of("iam", grown), roles, **bounds),
        allow("Roles", _of("iam", plain if boundary else f"{plain} DeleteRolePermissionsBoundary"), roles),
        allow("InstanceProfile", _of("iam", profiles), [profile]),
        *(_pass(settings, service) for service in dict.fromkeys(ASSUMED_BY.values())),
        *_linked(settings),
    ]


def _pass(settings: Settings, service: str) -> Statement:
    purposes = [purpose for purpose, principal in ASSUMED_BY.items() if principal == service]
    sid = f"PassTo{service.partition('.')[0].capitalize()}"
    places = [settings.arn("iam", f"role/{settings.role_name(purpose)}") for purpose in purposes]
    return allow(sid, ["iam:PassRole"], places, StringEquals={"iam:PassedToService": service})


def _linked(settings: Settings) -> list[Statement]:
    return [
        allow(
            f"ServiceRoleOf{service.partition('.')[0].capitalize()}",
            ["iam:CreateServiceLinkedRole"],
            [settings.arn("iam", f"role/aws-service-role/{service}/{name}")],
            StringEquals={"iam:AWSServiceName": service},
        )
        for service, name in LINKED.items()
    ]


def _sagemaker(settings: Settings, *kinds: str) -> list[str]:
    return [settings.arn("sagemaker", f"{kind}/{settings.prefix}-*") for kind in kinds]


def _jobs(settings: Settings) -> list[Statement]:
    names = (
        "AddTags CreateHyperParameterTuningJob CreateTrainingJob CreateTransformJob DescribeHyperParameterTuningJob "
    )
    names += "DescribeTrainingJob DescribeTransformJob ListTags ListTrainingJobsForHyperParameterTuningJob "
    names += "StopHyperParameterTuningJob StopTrainingJob StopTransformJob"
    places = _sagemaker(settings, "training-job", "hyper-parameter-tuning-job", "transform-job")
    key = settings.training.kms_key
    # To read artifacts, and for the disk of an EC2 instance (EBS's guide). A SageMaker job uses the rights of its role.
    names_of_key = "CreateGrant Decrypt DescribeKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo"
    uses = [allow("Key", _of("kms", names_of_key), [key])] if key else []
    return [allow("Jobs", _of("sagemaker", names), places), *uses]


def _endpoints(settings: Settings) -> list[Statement]:
    names = "AddTags CreateEndpoint CreateEndpointConfig CreateModel DeleteEndpoint DeleteEndpointConfig DeleteModel "
    names += "DescribeEndpoint DescribeEndpointConfig DescribeModel InvokeEndpoint InvokeEndpointAsync ListTags "
    names += "UpdateEndpoint UpdateEndpointWeightsAndCapacities"
    kinds = ("endpoint", "endpoint-config", "model")
    # The main endpoint is named by the prefix alone, and so may be an old model, whose tags are read.
    places = [
        *(settings.arn("sagemaker", f"{kind}/{settings.prefix}") for kind in kinds),
        *_sagemaker(settings, *kinds),
    ]
    return [allow("Endpoints", _of("sagemaker", names), places)]


def _scaling(settings: Settings) -> list[Statement]:
    """A scalable target's ARN holds no name of ours, so the service that is scaled limits the changes; only the account
    limits the tags."""
    names = "DeleteScalingPolicy DeleteScheduledAction DeregisterScalableTarget PutScalingPolicy PutScheduledAction "
    names += "RegisterScalableTarget"
    targets = [settings.arn("application-autoscaling", "scalable-target/*")]
    alarms = [
        settings.arn("cloudwatch", f"alarm:{settings.prefix}-*"),
        settings.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{settings.prefix}/*"),
        settings.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{settings.prefix}-*"),
        settings.arn("cloudwatch", f"alarm:TargetTracking-function:{settings.function_name}:*"),
    ]
    scaled = {"application-autoscaling:service-namespace": ["sagemaker", "lambda"]}
    return [
        allow("Scaling", _of("application-autoscaling", names), targets, StringEquals=scaled),
        allow("ScalingTags", _of("application-autoscaling", "ListTagsForResource TagResource"), targets),
        allow("Alarms", _of("cloudwatch", "DeleteAlarms ListTagsForResource PutMetricAlarm TagResource"), alarms),
    ]


def _function(settings: Settings) -> list[Statement]:
    looks = "GetAlias GetFunction GetFunctionConcurrency GetFunctionConfiguration GetFunctionUrlConfig GetPolicy "
    looks += "GetProvisionedConcurrencyConfig InvokeFunction ListAliases ListFunctionUrlConfigs "
    looks += "ListProvisionedConcurrencyConfigs ListTags ListVersionsByFunction"
    changes = "AddPermission CreateAlias CreateFunction CreateFunctionUrlConfig DeleteAlias DeleteFunction "
    changes += "DeleteFunctionConcurrency DeleteFunctionUrlConfig DeleteProvisionedConcurrencyConfig PublishVersion "
    changes += "PutFunctionConcurrency PutProvisionedConcurrencyConfig RemovePermission TagResource UpdateAlias "
    changes += "UpdateFunctionCode UpdateFunctionConfiguration UpdateFunctionUrlConfig"
    arn = settings.arn("lambda", f"function:{settings.function_name}")
    return [allow("Function", _of("lambda", f"{looks} {changes}"), [arn, f"{arn}:*"])]


def _logs(settings: Settings) -> list[Statement]:
    """To create and delete our own groups, and to read the groups that the account shares."""
    own = [
        f"/aws/lambda/{settings.function_name}",
        f"/aws/sagemaker/Endpoints/{settings.prefix}",
        f"/aws/sagemaker/Endpoints/{settings.prefix}-*",
        ec2.log_group(settings),
    ]
    shared = [grants.TRAINING_LOGS, grants.TRANSFORM_LOGS, grants.NOTEBOOK_LOGS]
    changes = "CreateLogGroup DeleteLogGroup ListTagsForResource PutRetentionPolicy TagResource"
    read = [arn for group in [*own, *shared] for arn in grants.log_group(settings, group)]
    changed = [arn for group in own for arn in grants.log_group(settings, group)]
    return [
        allow("LogGroups", _of("logs", changes), changed),
        allow("LogsRead", _of("logs", "FilterLogEvents"), read),
    ]


def _instances(settings: Settings) -> list[Statement]:
    """EC2 names its resources itself, so the project's tags limit the rights."""
    requested = {f"aws:RequestTag/{key}": value for key, value in settings.tags.items()}
    ours = {f"aws:ResourceTag/{key}": value for key, value in settings.tags.items()}
    instance, group = settings.arn("ec2", "instance/*"), settings.arn("ec2", "security-group/*")
    volume = settings.arn("ec2", "volume/*")
    around = [settings.arn("ec2", f"{kind}/*") for kind in ("key-pair", "network-interface", "subnet")]
    image = f"arn:aws:ec2:{settings.stage.region}::image/*"
    ami = f"arn:aws:ssm:{settings.stage.region}:*:parameter{settings.training.ec2.ami_parameter}"  # AWS's own
    tagging = {"ec2:CreateAction": ["CreateSecurityGroup", "RunInstances"]}
    changes = "AuthorizeSecurityGroupIngress DeleteSecurityGroup RevokeSecurityGroupIngress"
    return [
        allow("RunInstances", ["ec2:RunInstances"], [instance, volume], StringEquals=requested),
        allow("RunInstancesIn", ["ec2:RunInstances"], [image, *around]),
        allow("RunInstancesBehind", ["ec2:RunInstances"], [group], StringEquals=ours),
        allow("SecurityGroupNew", ["ec2:CreateSecurityGroup"], [group], StringEquals=requested),
        allow("SecurityGroupIn", ["ec2:CreateSecurityGroup"], [settings.arn("ec2", "vpc/*")]),
        allow("TagsNew", ["ec2:CreateTags"], [instance, volume, group], StringEquals={**requested, **tagging}),
        allow("SecurityGroup", _of("ec2", changes), [group], StringEquals=ours),
        allow("Instance", _of("ec2", "TerminateInstances"), [instance], StringEquals=ours),
        allow("Ami", ["ssm:GetParameter"], [ami]),
    ]


def _notebook(settings: Settings) -> list[Statement]:
    names = "AddTags CreateNotebookInstance CreateNotebookInstanceLifecycleConfig CreatePresignedNotebookInstanceUrl "
    names += "DeleteNotebookInstance DeleteNotebookInstanceLifecycleConfig DescribeNotebookInstance "
    names += "DescribeNotebookInstanceLifecycleConfig ListTags StartNotebookInstance StopNotebookInstance "
    names += "UpdateNotebookInstanceLifecycleConfig"
    places = _sagemaker(settings, "notebook-instance", "notebook-instance-lifecycle-config")
    return [allow("Notebook", _of("sagemaker", names), places)]


def _account(settings: Settings) -> list[Statement]:
    """Actions that take no resource: lists, which show names only, and the registry's token."""
    names = [
        *_of("application-autoscaling", "DescribeScalableTargets DescribeScalingActivities DescribeScalingPolicies"),
        *_of("application-autoscaling", "DescribeScheduledActions"),
        *_of("cloudwatch", "DescribeAlarms"),
        *_of("ec2", "DescribeImages DescribeInstances DescribeSecurityGroups DescribeSubnets"),
        *_of("ecr", "GetAuthorizationToken"),
        *_of("iam", "ListInstanceProfiles ListPolicies ListRoles"),
        *_of("lambda", "GetAccountSettings ListFunctions"),
        *_of("logs", "DescribeLogGroups"),
        *_of("sagemaker", "ListEndpointConfigs ListEndpoints ListHyperParameterTuningJobs ListModels"),
        *_of("sagemaker", "ListNotebookInstanceLifecycleConfigs ListNotebookInstances ListTrainingJobs"),
        *_of("sagemaker", "ListTransformJobs"),
        *_of("pricing", "GetProducts"),
        *_of("servicequotas", "ListAWSDefaultServiceQuotas ListRequestedServiceQuotaChangeHistory ListServiceQuotas"),
    ]
    quotas = [settings.arn("servicequotas", f"{service}/*") for service in ("ec2", "lambda", "sagemaker")]
    return [
        allow("Account", names, ["*"]),
        allow("Quotas", ["servicequotas:RequestServiceQuotaIncrease"], quotas),
    ]
