"""The table of what is seen late on AWS, by whom, and what AWS says meanwhile (rules 83 and 84).

A source that is a repository and a path or a number tells where that error was seen on AWS, or who retries it there.
"""

import re

from localcloud.faults.lag import Kind, Late

TERRAFORM = "hashicorp/terraform-provider-aws"
ASSUME = (
    "Could not assume role {given}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' "
    "to assume the role."
)
MODEL_DATA = (
    'Could not access model data at {subject}. Please ensure that the role "{given}" exists and that its trust '
    'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also '
    'ensure that the role has "s3:GetObject" permissions and that the object is located in {region}.'
)
NO_OBJECTS = (
    'No S3 objects found under S3 URL "{subject}" given in input data source. Please ensure that the bucket exists in '
    'the selected region ({region}), that objects exist under that S3 prefix, and that the role "{given}" has '
    '"s3:ListBucket" permissions on bucket "{bucket}".'
)
UNAUTHORIZED = 'Unauthorized to List objects under S3 URL "{subject}".'
CONFIG_MISSING = 'Could not find endpoint configuration "arn:aws:sagemaker:{region}:{account}:endpoint-config/{lower}".'
PROFILE_NAME = "Value ({given}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
PROFILE_ARN = "Value ({given}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN"
NO_ROLES = 'IAM Instance Profile "arn:aws:iam::{account}:instance-profile/{name}" has no associated IAM Roles'
CONFLICT = "A conflicting conditional operation is currently in progress against this resource. Please try again."
INPUT = ("InputDataConfig", "DataSource", "S3DataSource", "S3Uri")
TUNED = (("TrainingJobDefinition",), ("TrainingJobDefinitions",))


def last_part(arn: str) -> str:
    """The name of a role, profile or policy, given by name or ARN."""
    return arn.rpartition("/")[2]


def log_group(arn: str) -> str:
    """The name of a log group, given by name or ARN. The name may hold slashes."""
    return re.sub(r"^arn:[^:]+:logs:[^:]*:[^:]*:log-group:([^:]+)(:\*)?$", r"\1", arn)


ROLE = Kind(
    name="role",
    made_by={"iam CreateRole": ("RoleName",)},
    gone_by={"iam DeleteRole": ("RoleName",)},
    short=last_part,
    late=(
        Late(
            operations=("iam AttachRolePolicy", "iam PutRolePolicy", "iam TagRole", "iam AddRoleToInstanceProfile"),
            names=(("RoleName",),),
            code="NoSuchEntity",
            message="The role with name {name} cannot be found.",
            status=404,
            source=f"{TERRAFORM}#6079",
        ),
        Late(
            operations=("sagemaker CreateModel",),
            names=(("ExecutionRoleArn",),),
            code="ValidationException",
            message=ASSUME,
            source=f"{TERRAFORM} internal/service/sagemaker/model.go",
        ),
        Late(
            operations=(
                "sagemaker CreateTrainingJob",
                "sagemaker CreateHyperParameterTuningJob",
                "sagemaker CreateNotebookInstance",
                "sagemaker UpdateNotebookInstance",
            ),
            names=(("RoleArn",), *((*path, "RoleArn") for path in TUNED)),
            code="ValidationException",
            message=ASSUME,
            source="aws/aws-cli#7700",
        ),
        Late(
            operations=("lambda CreateFunction", "lambda UpdateFunctionConfiguration"),
            names=(("Role",),),
            code="InvalidParameterValueException",
            message="The role defined for the function cannot be assumed by Lambda.",
            source="boto/boto3#1466",
        ),
    ),
)
INSTANCE_PROFILE = Kind(
    name="instance profile",
    made_by={"iam CreateInstanceProfile": ("InstanceProfileName",)},
    gone_by={"iam DeleteInstanceProfile": ("InstanceProfileName",)},
    short=last_part,
    late=(
        Late(
            operations=("iam AddRoleToInstanceProfile",),
            names=(("InstanceProfileName",),),
            code="NoSuchEntity",
            message="Instance Profile {name} cannot be found.",
            status=404,
            source="DataBiosphere/toil#4836 (the same answer to GetInstanceProfile)",
        ),
        Late(
            operations=("ec2 RunInstances",),
            names=(("IamInstanceProfile.Name",),),
            code="InvalidParameterValue",
            message=PROFILE_NAME,
            source="aws/aws-sdk-js-v3#5253",
        ),
        Late(
            operations=("ec2 RunInstances",),
            names=(("IamInstanceProfile.Arn",),),
            code="InvalidParameterValue",
            message=PROFILE_ARN,
            source=f"{TERRAFORM} internal/service/ec2/ec2_instance.go",
        ),
    ),
)
PROFILE_ROLE = Kind(
    name="role of an instance profile",
    made_by={"iam AddRoleToInstanceProfile": ("InstanceProfileName",)},
    gone_by={
        "iam RemoveRoleFromInstanceProfile": ("InstanceProfileName",),
        "iam DeleteInstanceProfile": ("InstanceProfileName",),
    },
    short=last_part,
    late=(
        Late(
            operations=("ec2 RunInstances",),
            names=(("IamInstanceProfile.Name",), ("IamInstanceProfile.Arn",)),
            code="InvalidParameterValue",
            message=NO_ROLES,
            source="hashicorp/terraform#4306",
        ),
    ),
)
POLICY = Kind(
    name="policy",
    made_by={"iam CreatePolicy": ("PolicyName",)},
    gone_by={"iam DeletePolicy": ("PolicyArn",)},
    short=last_part,
    late=(
        Late(
            operations=("iam AttachRolePolicy",),
            names=(("PolicyArn",),),
            code="NoSuchEntity",
            message="Policy {given} does not exist or is not attachable.",
            status=404,
            source="getmoto/moto#6482 (AWS's words)",
        ),
    ),
)
# Only a role's first policy is late: which right of a later one is new, only an evaluation of both could say.
ROLE_POLICY = Kind(
    name="policy of a role",
    made_by={"iam PutRolePolicy": ("RoleName",), "iam AttachRolePolicy": ("RoleName",)},
    gone_by={"iam DeleteRole": ("RoleName",)},
    short=last_part,
    late=(
        Late(
            operations=("sagemaker CreateModel",),
            names=(("ExecutionRoleArn",),),
            subject=(
                ("PrimaryContainer", "ModelDataUrl"),
                ("PrimaryContainer", "ModelDataSource", "S3DataSource", "S3Uri"),
                ("Containers", "ModelDataUrl"),
            ),
            code="ValidationException",
            message=MODEL_DATA,
            source="philschmid/llm-sagemaker-sample#2",
        ),
        Late(
            operations=("sagemaker CreateTrainingJob",),
            names=(("RoleArn",),),
            subject=(INPUT,),
            code="ValidationException",
            message=UNAUTHORIZED,
            source=f"{TERRAFORM} internal/service/sagemaker/training_job.go (how the message begins)",
        ),
        Late(
            operations=("sagemaker CreateHyperParameterTuningJob",),
            names=tuple((*path, "RoleArn") for path in TUNED),
            subject=tuple((*path, *INPUT) for path in TUNED),
            code="ValidationException",
            message=NO_OBJECTS,
            source="aws/amazon-sagemaker-examples#2267",
        ),
    ),
)
BUCKET = Kind(
    name="bucket",
    made_by={"s3 CreateBucket": ("Bucket",)},
    gone_by={"s3 DeleteBucket": ("Bucket",)},
    late=(
        Late(
            operations=("s3 PutBucket*", "s3 PutPublicAccessBlock"),
            names=(("Bucket",),),
            code="NoSuchBucket",
            message="The specified bucket does not exist",
            status=404,
            until=0.5,
            source=f"{TERRAFORM} internal/service/s3/bucket_server_side_encryption_configuration.go",
        ),
        Late(
            operations=("s3 PutBucket*", "s3 PutPublicAccessBlock"),
            names=(("Bucket",),),
            code="OperationAborted",
            message=CONFLICT,
            status=409,
            source=f"{TERRAFORM}#33552, #7628",
        ),
        Late(
            operations=("s3 PutObject", "s3 CreateMultipartUpload"),
            names=(("Bucket",),),
            code="NoSuchBucket",
            message="The specified bucket does not exist",
            status=404,
            source="gchq/sleeper#512 (after PutPublicAccessBlock of the same bucket), kubernetes/kubernetes#8395",
        ),
    ),
)
LOG_GROUP = Kind(
    name="log group",
    made_by={"logs CreateLogGroup": ("logGroupName",)},
    gone_by={"logs DeleteLogGroup": ("logGroupName",)},
    short=log_group,
    late=(
        Late(
            operations=("logs PutRetentionPolicy", "logs PutMetricFilter", "logs TagResource", "logs CreateLogStream"),
            names=(("logGroupName",), ("resourceArn",)),
            code="ResourceNotFoundException",
            message="The specified log group does not exist.",
            source="eksctl-io/eksctl#4454",
        ),
    ),
)
ENDPOINT_CONFIG = Kind(
    name="endpoint configuration",
    made_by={"sagemaker CreateEndpointConfig": ("EndpointConfigName",)},
    gone_by={"sagemaker DeleteEndpointConfig": ("EndpointConfigName",)},
    late=(
        Late(
            operations=("sagemaker CreateEndpoint", "sagemaker UpdateEndpoint"),
            names=(("EndpointConfigName",),),
            code="ValidationException",
            message=CONFIG_MISSING,
            source="rule 84; AWS's API reference of CreateEndpoint",
        ),
    ),
)
KINDS = (ROLE, INSTANCE_PROFILE, PROFILE_ROLE, POLICY, ROLE_POLICY, BUCKET, LOG_GROUP, ENDPOINT_CONFIG)
