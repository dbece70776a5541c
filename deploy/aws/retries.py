"""Which refusals of AWS pass by themselves, and how long they are waited for (pure).

What AWS has just made is not known everywhere at once (rules 83, 84, 93). A request that is refused for that reason has
changed nothing, so it is sent again. The table says for which requests that holds and why. Every other refusal is
raised at once: a wrong setting does not get right by waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.errors import AwsError
from deploy.values import Request

PASSING_S = 120.0  # no bound is documented; Terraform's AWS provider waits as long
WAKING_S = 300.0
UPDATING_S = 1800.0  # instances take minutes


THROTTLED = frozenset(
    {"ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded"}
    | {"ServiceUnavailable", "ServiceUnavailableException", "SlowDown"}
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A refusal that passes by itself.

    `operations` are the requests that meet it, as "service.Operation"; `given` is a parameter that the request must
    have. `codes` (all, where empty) and `texts` (one of them is in the message; all, where empty) tell it from others;
    a message with one of `lasting` never passes. `awaited` says what is waited for, and `fix` what to look at when it
    does not come.
    """

    operations: frozenset[str]
    awaited: str
    codes: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    given: str = ""
    seconds: float = PASSING_S
    fix: str = ""

    def matches(self, request: Request, error: AwsError) -> bool:
        return (
            f"{request.service}.{request.operation}" in self.operations
            and (not self.given or self.given in request.params)
            and (not self.codes or error.code in self.codes)
            and (not self.texts or any(text in error.message for text in self.texts))
            and not any(text in error.message for text in self.lasting)
        )


def passing(request: Request, error: AwsError) -> Refusal | None:
    """The line of the table that says that this refusal passes; None for one that stays.

    Any throttled request is sent again. Only a call of the function is not: its callers decide how long it is at its
    concurrency.
    """
    if error.code in THROTTLED:
        return None if request.operation == "Invoke" else TOO_FAST
    return next((each for each in REFUSALS if each.matches(request, error)), None)


TOO_FAST = Refusal(
    operations=frozenset(), awaited="until AWS takes more requests", fix="run the same command again in some minutes"
)


@dataclass(kw_only=True)
class Patience:
    """How long one request is tried again: until the patience of its present refusal ends, counted from the start."""

    began: float
    pause: float = 1.0
    told: set[str] = field(default_factory=set)

    def next_pause(self, refusal: Refusal, now: float) -> float | None:
        """The seconds to wait before the next try; None when there is to be none."""
        if now - self.began + self.pause > refusal.seconds:
            return None
        pause, self.pause = self.pause, min(2 * self.pause, 10.0)
        return pause

    def news(self, request: Request, refusal: Refusal, error: AwsError) -> str:
        """What people are told when the waiting begins; "" when they know it already."""
        if refusal.awaited in self.told:
            return ""
        self.told.add(refusal.awaited)
        return (
            f"{request.operation}: waiting up to {_minutes(refusal.seconds)} {refusal.awaited} "
            f"({error.code}: {error.message})"
        )

    def in_vain(self, refusal: Refusal, error: AwsError, now: float) -> AwsError:
        """The error of a refusal that did not pass: AWS's own, how long it was waited for, and what to look at."""
        fix = f"tried again for {now - self.began:.0f} s, {refusal.awaited}"
        fix += f"; {refusal.fix}" if refusal.fix else ""
        return AwsError(operation=error.operation, code=error.code, message=error.message, fix=fix)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes"


def _of(service: str, names: str) -> frozenset[str]:
    return frozenset(f"{service}.{name}" for name in names.split())


JOBS = _of("sagemaker", "CreateTrainingJob CreateHyperParameterTuningJob CreateTransformJob")
ROLE_IS_WRONG = "if the role is not new, it lacks a right or a trust: ./inv plan shows what deploy would change"
SETTINGS_OF_A_BUCKET = _of(
    "s3",
    "PutBucketTagging PutPublicAccessBlock PutBucketEncryption PutBucketVersioning PutBucketLifecycleConfiguration "
    "PutBucketPolicy",
)

ROLE_IS_NEW = "until SageMaker may use the role, which takes a while after it is made or changed"

# Each line: why the request may be sent again is the comment above it. Sources are repository paths.
REFUSALS: tuple[Refusal, ...] = (
    # The role is checked before the job exists, so nothing was started (hashicorp/terraform-provider-aws,
    # internal/service/sagemaker/training_job.go and hyper_parameter_tuning_job.go).
    Refusal(
        operations=JOBS,
        codes=frozenset({"ValidationException"}),
        texts=(
            "Could not assume role",
            "Unauthorized to List objects under S3 URL",
            "Access denied to OutputDataConfig S3 bucket",
            "no identity-based policy allows the s3:ListBucket action",
            "Access denied for repository",
            "No S3 objects found under S3 URL",  # so it reads too where the role may not list yet
            "The AWS Access Key Id you provided does not exist in our records",
        ),
        awaited=ROLE_IS_NEW,
        fix=ROLE_IS_WRONG,
    ),
    # A refused model is not kept. AWS has many words for a role that is not known yet, so only what is the request's
    # own fault is told apart (internal/service/sagemaker/model.go waits for every ValidationException).
    Refusal(
        operations=_of("sagemaker", "CreateModel"),
        codes=frozenset({"ValidationException"}),
        lasting=(
            "validation error detected", "validation errors detected", "already existing", "Requested image",
            "non-ECR image", "manifest", "Could not find model data",
        ),
        awaited=ROLE_IS_NEW,
        fix=ROLE_IS_WRONG,
    ),
    # A refused notebook instance is not kept (rule 83).
    Refusal(
        operations=_of("sagemaker", "CreateNotebookInstance"),
        texts=("Could not assume role",),
        awaited=ROLE_IS_NEW,
        fix=ROLE_IS_WRONG,
    ),
    # None of them begins before it has found the model or the configuration that it names (rule 84).
    Refusal(
        operations=_of("sagemaker", "CreateEndpointConfig CreateEndpoint CreateTransformJob"),
        texts=('Could not find model "',),
        awaited="until the new model is known everywhere",
    ),
    Refusal(
        operations=_of("sagemaker", "CreateEndpoint UpdateEndpoint"),
        texts=("Could not find endpoint configuration",),
        awaited="until the new endpoint configuration is known everywhere",
    ),
    # The autoscaler may begin to change an endpoint between a plan and its update, and AWS takes one change at a time
    # (rule 59).
    Refusal(
        operations=_of("sagemaker", "UpdateEndpoint UpdateEndpointWeightsAndCapacities DeleteEndpoint"),
        texts=("Cannot update in-progress endpoint",),
        seconds=UPDATING_S,
        awaited="until another update of this endpoint is done",
    ),
    # The same registration twice is one. The first of an account makes the role that scaling uses (rule 52;
    # hashicorp/terraform-provider-aws, internal/service/appautoscaling/target.go).
    Refusal(
        operations=_of("application-autoscaling", "RegisterScalableTarget"),
        texts=("Unable to assume IAM role",),
        awaited="until Application Auto Scaling may use its new role",
    ),
    # A refused function is not kept, and a refused update leaves the old settings. The second text comes where Lambda
    # encrypts the environment for a role that KMS does not know yet (aws/chalice, chalice/awsclient.py).
    Refusal(
        operations=_of("lambda", "CreateFunction UpdateFunctionCode UpdateFunctionConfiguration"),
        codes=frozenset({"InvalidParameterValueException"}),
        texts=("cannot be assumed by Lambda", "KMS key is invalid for CreateGrant"),
        awaited="until Lambda may use the role, which takes a while after it is made or changed",
        fix=ROLE_IS_WRONG,
    ),
    # Lambda refuses a change during another before it begins (rule 66). A permission that exists already, which has the
    # same code, does not pass (internal/service/lambda/permission.go).
    Refusal(
        operations=_of(
            "lambda",
            "UpdateFunctionCode UpdateFunctionConfiguration PublishVersion CreateAlias UpdateAlias AddPermission "
            "RemovePermission PutFunctionConcurrency PutProvisionedConcurrencyConfig CreateFunctionUrlConfig "
            "UpdateFunctionUrlConfig",
        ),
        codes=frozenset({"ResourceConflictException"}),
        texts=("The operation cannot be performed at this time", "concurrent update operation"),
        awaited="until another change of this function is done",
    ),
    # A refused call ran nothing. It wakes a function that was idle for weeks (rule 93).
    Refusal(
        operations=_of("lambda", "Invoke"),
        codes=frozenset({"CodeArtifactUserPendingException", "ResourceConflictException"}),
        texts=("Lambda is initializing your function", "currently in the following state: Pending",
               "currently in the following state: Inactive"),
        seconds=WAKING_S,
        awaited="until Lambda has made the function ready: it was idle, or has just been made",
    ),
    # RunInstances checks the profile before it starts anything, and its client token starts one instance however often
    # it is sent (internal/service/ec2/ec2_instance.go).
    Refusal(
        operations=_of("ec2", "RunInstances"),
        codes=frozenset({"InvalidParameterValue"}),
        texts=("Invalid IAM Instance Profile", "has no associated IAM Roles"),
        awaited="until EC2 knows the instance profile and its role, which takes a while after they are made",
        fix=ROLE_IS_WRONG,
    ),
    # A rule for a group that is not known yet is not kept, and an instance in it is not started.
    Refusal(
        operations=_of("ec2", "RunInstances AuthorizeSecurityGroupIngress"),
        codes=frozenset({"InvalidGroup.NotFound"}),
        awaited="until the new security group is known everywhere",
    ),
    # All of them write a whole setting or set a link, so that twice is the same as once; IAM refuses them while it
    # does not know the new role or profile (internal/service/iam/instance_profile.go), or is busy with it.
    Refusal(
        operations=_of(
            "iam",
            "AddRoleToInstanceProfile PutRolePolicy AttachRolePolicy UpdateAssumeRolePolicy CreatePolicyVersion",
        ),
        codes=frozenset({"NoSuchEntity"}),
        awaited="until IAM knows the new role, profile or policy everywhere",
    ),
    # The same; but a boundary that does not exist is a wrong setting, because deploy makes none.
    Refusal(
        operations=_of("iam", "PutRolePermissionsBoundary"),
        codes=frozenset({"NoSuchEntity"}),
        texts=("The role with name",),
        awaited="until IAM knows the new role, profile or policy everywhere",
    ),
    Refusal(
        operations=_of(
            "iam",
            "CreateRole AddRoleToInstanceProfile PutRolePolicy PutRolePermissionsBoundary AttachRolePolicy "
            "UpdateAssumeRolePolicy CreatePolicyVersion DeleteRolePolicy DetachRolePolicy DeleteRole DeletePolicy",
        ),
        codes=frozenset({"ConcurrentModification"}),  # IAM changed nothing
        awaited="until IAM has done another change of the same role or policy",
    ),
    # CreateBucket is refused before it makes anything, and a setting is written whole or not at all
    # (hashicorp/terraform-provider-aws#33478, #7628).
    Refusal(
        operations=SETTINGS_OF_A_BUCKET | _of("s3", "CreateBucket DeleteBucket"),
        codes=frozenset({"OperationAborted"}),
        awaited="until S3 has done another change of this bucket",
    ),
    # A setting is written whole; the lock is written only where there is none, so that nobody's is replaced. A renewal
    # of the lock (IfMatch) is not tried again then: `down` may have deleted the bucket.
    Refusal(
        operations=SETTINGS_OF_A_BUCKET,
        codes=frozenset({"NoSuchBucket"}),
        awaited="until the new bucket is known everywhere",
    ),
    Refusal(
        operations=_of("s3", "PutObject"),
        given="IfNoneMatch",
        codes=frozenset({"NoSuchBucket"}),
        awaited="until the new bucket is known everywhere",
    ),
    # A retention is one number, tags are written by name; a group that exists already has another code
    # (aws/aws-cdk#15709).
    Refusal(
        operations=_of("logs", "PutRetentionPolicy TagResource"),
        codes=frozenset({"ResourceNotFoundException"}),
        awaited="until the new log group is known everywhere",
    ),
    Refusal(
        operations=_of("logs", "CreateLogGroup PutRetentionPolicy TagResource DeleteLogGroup"),
        codes=frozenset({"OperationAbortedException"}),
        awaited="until another change of this log group is done",
    ),
)  # fmt: skip
