"""The deployer's policies allow every request that Kennel can make, on the stage's own resources only."""

from __future__ import annotations

from deploy.config.general import Iam
from deploy.config.settings import Settings
from deploy.iam.document import Document
from deploy.iam.policies import deployer
from tests.functional.deploy.iam import mutants
from tests.functional.deploy.iam.authorization import OPERATIONS
from tests.functional.deploy.iam.containers import BUCKET, OTHER_BUCKET, wants
from tests.functional.deploy.iam.golden_calls import ADMINISTRATOR, Call, examples, golden, named_in_code
from tests.functional.deploy.iam.mutants import few, neighbours, unseen
from tests.functional.deploy.iam.rules import arn
from tests.functional.deploy.iam.simulator import Need, Simulator

WHERE_TO_ALLOW = "allow it in deploy/iam/policies/deployer.py"
WHERE_TO_TELL = "say what it needs in tests/functional/deploy/iam/authorization.py"
KNOWN = {*OPERATIONS, *ADMINISTRATOR}
# What `docker push` and `docker pull` ask with the token that the product gets for them.
BY_DOCKER = wants(
    "ecr:BatchCheckLayerAvailability ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage "
    "ecr:BatchGetImage ecr:GetDownloadUrlForLayer",
    *(arn("ecr", f"repository/kennel-local/{image}") for image in ("train", "serve", "lambda")),
)


def documents(settings: Settings) -> list[Document]:
    return list(deployer.policies(settings).values())


def calls() -> list[Call]:
    """All that the deployer calls."""
    known = [call for call in golden() if call.operation in OPERATIONS and not call.is_for_administrators]
    # A bucket is emptied of versions, which no golden file shows.
    held = {call.operation for call in known} - {"s3.DeleteObjects"}
    return [*known, *examples(held, of="deployer")]


def needs() -> list[Need]:
    of_calls = [need for call in calls() for need in call.needs]
    return list({str(need): need for need in [*of_calls, *BY_DOCKER]}.values())


# What stands next to what a deployer does, and is not for them.
NEVER = [
    *wants("s3:ListAllMyBuckets", "*"),
    *wants("s3:GetObject s3:PutObject", f"{OTHER_BUCKET}/data/secret.jpg", "arn:aws:s3:::other/x"),
    *wants("s3:PutBucketAcl s3:PutBucketPublicAccessBlock", OTHER_BUCKET),
    *wants("s3:PutObjectAcl s3:BypassGovernanceRetention", f"{BUCKET}/data/1.jpg"),
    *wants("iam:PassRole", arn("iam", "role/kennel-local-training"), iam__PassedToService="lambda.amazonaws.com"),
    *wants("iam:PassRole", arn("iam", "role/kennel-local-lambda"), iam__PassedToService="ec2.amazonaws.com"),
    *wants("iam:PassRole", arn("iam", "role/admin"), iam__PassedToService="sagemaker.amazonaws.com"),
    *wants("iam:PutRolePolicy iam:AttachRolePolicy iam:DeleteRole", arn("iam", "role/kennel-local-deployer")),
    *wants("iam:AttachRolePolicy", arn("iam", "role/kennel-local-training")),
    *wants("iam:PutRolePolicy iam:CreateRole", arn("iam", "role/admin")),
    *wants("iam:CreatePolicyVersion", arn("iam", "policy/kennel-local-deployer-rights")),
    *wants("iam:CreateUser iam:CreateAccessKey", arn("iam", "user/mallory")),
    *wants("sts:AssumeRole", arn("iam", "role/kennel-local-training")),
    *wants("sagemaker:DeleteEndpoint sagemaker:InvokeEndpoint", arn("sagemaker", "endpoint/other")),
    *wants("sagemaker:CreateDomain", arn("sagemaker", "domain/d-1")),
    *wants("lambda:UpdateFunctionCode lambda:InvokeFunction", arn("lambda", "function:other")),
    *wants("ecr:PutImage ecr:DeleteRepository", arn("ecr", "repository/kennel-prod/train")),
    *wants("logs:DeleteLogGroup logs:PutRetentionPolicy", arn("logs", "log-group:/aws/sagemaker/TrainingJobs")),
    *wants("logs:FilterLogEvents", arn("logs", "log-group:/aws/lambda/other")),
    *wants("ec2:TerminateInstances", arn("ec2", "instance/i-1")),
    *wants("ec2:RunInstances", arn("ec2", "instance/i-1"), arn("ec2", "security-group/sg-1")),
    *wants("ec2:AuthorizeSecurityGroupIngress ec2:DeleteSecurityGroup", arn("ec2", "security-group/sg-1")),
    *wants("ec2:CreateTags", arn("ec2", "instance/i-1"), arn("ec2", "volume/vol-1")),
    *wants("ssm:GetParameter", arn("ssm", "parameter/secret")),
    *wants("cloudwatch:DeleteAlarms", arn("cloudwatch", "alarm:other")),
    *(
        need
        for service in deployer.LINKED
        for need in wants(
            "iam:CreateServiceLinkedRole", arn("iam", "role/aws-service-role/x/X"), iam__AWSServiceName=service
        )
    ),
]


def test_every_golden_request_is_one_whose_rights_are_known() -> None:
    unknown = [f"{call.where}: {WHERE_TO_TELL}" for call in golden() if call.operation not in KNOWN]
    assert not unknown, "\n".join(unknown)


def test_every_operation_that_the_code_names_is_one_whose_rights_are_known() -> None:
    unknown = [f"{where}: {names}: {WHERE_TO_TELL}" for where, names in named_in_code() if not KNOWN & set(names)]
    assert not unknown, "\n".join(unknown)


def test_every_request_that_the_product_makes_is_allowed(simulator: Simulator, settings: Settings) -> None:
    needed = [(call, need) for call in calls() for need in call.needs]
    denied = simulator.denied(documents(settings), [need for _, need in needed])
    missing = [f"{call.where}: {need}: {WHERE_TO_ALLOW}" for call, need in needed if need in denied]
    assert not missing, "\n".join(missing)


def test_a_push_by_docker_is_allowed(simulator: Simulator, settings: Settings) -> None:
    assert simulator.denied(documents(settings), BY_DOCKER) == []


def test_nothing_of_other_stages_or_regions_is_allowed(simulator: Simulator, settings: Settings) -> None:
    held = documents(settings)
    neighbours = forbidden(held)
    denied = simulator.denied(held, neighbours)
    granted = [str(need) for need in neighbours if need not in denied]
    assert not granted, "\n".join(granted)


def test_without_any_one_action_some_request_fails(simulator: Simulator, settings: Settings) -> None:
    faults = list(mutants.without_an_action(documents(settings)))
    useless = unseen(simulator, faults, few(needs()), allowed=True)
    assert not useless, "no request needs these:\n" + "\n".join(useless)


def test_any_wider_resource_or_lost_condition_lets_something_in(simulator: Simulator, settings: Settings) -> None:
    held = documents(settings)
    faults = [*mutants.widened(held), *mutants.unconditional(held)]
    harmless = unseen(simulator, faults, forbidden(held), allowed=False)
    assert not harmless, "no neighbour tells these:\n" + "\n".join(harmless)


def test_with_a_boundary_roles_are_made_and_changed_only_within_it(simulator: Simulator, settings: Settings) -> None:
    boundary = arn("iam", "policy/bounds")
    bounded = documents(settings.model_copy(update={"iam": Iam(permissions_boundary=boundary)}))
    role = arn("iam", "role/kennel-local-training")
    grow = "iam:CreateRole iam:PutRolePolicy iam:PutRolePermissionsBoundary"
    assert simulator.denied(bounded, wants(grow, role, iam__PermissionsBoundary=boundary)) == []
    free = wants(f"{grow} iam:DeleteRolePermissionsBoundary", role)
    assert simulator.denied(bounded, free) == free


def test_a_key_may_be_used_for_disks_and_artifacts_where_it_is_set(simulator: Simulator, settings: Settings) -> None:
    key = arn("kms", "key/0123")
    training = settings.training.model_copy(update={"kms_key": key})
    held = documents(settings.model_copy(update={"training": training}))
    disk = "kms:CreateGrant kms:DescribeKey kms:GenerateDataKeyWithoutPlaintext kms:ReEncryptFrom kms:ReEncryptTo"
    uses = [*wants(disk, key), *wants("kms:Decrypt", key)]
    assert simulator.denied(held, uses) == []
    assert simulator.denied(documents(settings), uses) == uses
    faults = [fault for fault in mutants.without_an_action(held) if fault.fault.startswith("Key ")]
    assert len(faults) == len(uses)
    assert unseen(simulator, faults, uses, allowed=True) == []
    others = wants("kms:Decrypt", arn("kms", "key/9999")) + wants("kms:ScheduleKeyDeletion", key)
    assert simulator.denied(held, others) == others


def forbidden(held: list[Document]) -> list[Need]:
    """What must be denied: neighbours of what is allowed, unless they are allowed for themselves."""
    own = {str(need) for need in needs()}
    return [*NEVER, *(need for need in neighbours(few(needs()), held) if str(need) not in own)]
