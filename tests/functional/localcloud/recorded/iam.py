"""IAM as AWS was recorded."""

from __future__ import annotations

import json
from typing import Any

from tests.functional.localcloud.recorded.case import Case, answered, but, refused

ROLES = "iam/test_iam.py::TestIAMIntegrations"
EXTENSIONS = "iam/test_iam.py::TestIAMExtensions"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
RIGHTS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
)
ROLE = "Role.Arn Role.AssumeRolePolicyDocument Role.CreateDate Role.Path Role.RoleId Role.RoleName"
POLICY = (
    "Policy.Arn Policy.AttachmentCount Policy.CreateDate Policy.DefaultVersionId Policy.IsAttachable Policy.Path "
    "Policy.PermissionsBoundaryUsageCount Policy.PolicyId Policy.PolicyName Policy.UpdateDate"
)
NOWHERE = "arn:aws:iam::123456789012:policy/nowhere"


def _role(iam: Any, name: str, **more: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Path="/recorded/", **more)


def _read(iam: Any) -> Any:
    _role(iam, "read")
    return iam.get_role(RoleName="read")


def _listed(iam: Any) -> Any:
    iam.create_role(RoleName="listed", AssumeRolePolicyDocument=TRUST, Path="/listed/")
    return iam.list_roles(PathPrefix="/listed/")


def _listed_with_a_boundary_and_tags(iam: Any) -> Any:
    iam.create_role(
        RoleName="bounded", AssumeRolePolicyDocument=TRUST, Path="/bounded/", Tags=[{"Key": "a", "Value": "b"}]
    )
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=RIGHTS)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=arn)
    return iam.list_roles(PathPrefix="/bounded/")


def _deleted(iam: Any) -> Any:
    _role(iam, "deleted")
    return iam.delete_role(RoleName="deleted")


def _trusting(iam: Any) -> Any:
    _role(iam, "trusting")
    return iam.update_assume_role_policy(RoleName="trusting", PolicyDocument=TRUST)


def _inline(iam: Any) -> Any:
    _role(iam, "inline")
    iam.put_role_policy(RoleName="inline", PolicyName="rights", PolicyDocument=RIGHTS)
    answer = iam.get_role_policy(RoleName="inline", PolicyName="rights")
    assert answer["PolicyDocument"] == json.loads(RIGHTS)
    return answer


def _policy_read(iam: Any) -> Any:
    arn = iam.create_policy(PolicyName="read", PolicyDocument=RIGHTS)["Policy"]["Arn"]
    return iam.get_policy(PolicyArn=arn)


def _attached(iam: Any, role: str) -> Any:
    _role(iam, role)
    arn = iam.create_policy(PolicyName=f"{role}-policy", PolicyDocument=RIGHTS)["Policy"]["Arn"]
    return iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _attached_listed(iam: Any) -> Any:
    _attached(iam, "attached-listed")
    return iam.list_attached_role_policies(RoleName="attached-listed")


def _keys_listed(iam: Any) -> Any:
    iam.create_user(UserName="keys")
    iam.create_access_key(UserName="keys")
    answer = iam.list_access_keys(UserName="keys")
    return {"AccessKeyMetadata": answer["AccessKeyMetadata"], "ResponseMetadata": answer["ResponseMetadata"]}


def _attach(arn: str) -> Any:
    def ask(iam: Any) -> Any:
        if "attaching" not in [role["RoleName"] for role in iam.list_roles(PathPrefix="/recorded/")["Roles"]]:
            _role(iam, "attaching")
        return iam.attach_role_policy(RoleName="attaching", PolicyArn=arn)

    return ask


CASES = (
    Case(
        operation="CreateRole",
        source=f"{EXTENSIONS}::test_role_with_path_lifecycle",
        ask=lambda iam: _role(iam, "created"),
        aws=answered(ROLE),
        here=but(answered(ROLE), more="Role.MaxSessionDuration Role.RoleLastUsed"),
    ),
    Case(
        operation="CreateRole",
        source="iam/test_iam.py::TestRoles::test_role_with_tags",
        ask=lambda iam: _role(iam, "created-tagged", Tags=[{"Key": "test", "Value": "value"}]),
        aws=answered(f"{ROLE} Role.Tags.Key Role.Tags.Value"),
        here=but(answered(f"{ROLE} Role.Tags.Key Role.Tags.Value"), more="Role.MaxSessionDuration Role.RoleLastUsed"),
    ),
    Case(
        operation="CreateRole",
        source=f"{EXTENSIONS}::test_create_role_with_malformed_assume_role_policy_document",
        ask=lambda iam: iam.create_role(RoleName="malformed", AssumeRolePolicyDocument='{"Statement": [{},]}'),
        aws=refused("MalformedPolicyDocument", 400, "This policy contains invalid Json"),
        here=answered(
            "Role.Arn Role.AssumeRolePolicyDocument Role.CreateDate Role.MaxSessionDuration Role.Path "
            "Role.RoleId Role.RoleLastUsed Role.RoleName"
        ),
    ),
    Case(
        operation="GetRole",
        source=f"{EXTENSIONS}::test_role_with_path_lifecycle",
        ask=_read,
        aws=answered(f"{ROLE} Role.MaxSessionDuration Role.RoleLastUsed"),
    ),
    Case(
        operation="ListRoles",
        source=f"{ROLES}::test_create_describe_role",
        ask=_listed,
        aws=answered(f"IsTruncated {ROLE.replace('Role.', 'Roles.')} Roles.MaxSessionDuration"),
    ),
    Case(
        operation="ListRoles",
        source=f"{ROLES}::test_list_roles_with_permission_boundary",
        ask=_listed_with_a_boundary_and_tags,
        aws=answered(f"IsTruncated {ROLE.replace('Role.', 'Roles.')} Roles.MaxSessionDuration"),
    ),
    Case(operation="DeleteRole", source=f"{EXTENSIONS}::test_role_with_path_lifecycle", ask=_deleted, aws=answered()),
    Case(
        operation="UpdateAssumeRolePolicy",
        source=f"{ROLES}::test_update_assume_role_policy",
        ask=_trusting,
        aws=answered(),
    ),
    Case(
        operation="GetRolePolicy",
        source="iam/test_iam.py::TestIAMPolicyEncoding::test_put_role_policy_encoding",
        ask=_inline,
        aws=answered("PolicyDocument PolicyName RoleName"),
    ),
    Case(
        operation="CreatePolicy",
        source=f"{ROLES}::test_role_attach_policy",
        ask=lambda iam: iam.create_policy(PolicyName="created", PolicyDocument=RIGHTS),
        aws=answered(POLICY),
        here=but(answered(POLICY), without="Policy.PermissionsBoundaryUsageCount"),
    ),
    Case(
        operation="GetPolicy",
        source="iam/resource_providers/test_iam.py::test_managed_policy_with_empty_resource",
        ask=_policy_read,
        aws=answered(f"{POLICY} Policy.Tags"),
        here=but(answered(f"{POLICY} Policy.Tags"), without="Policy.PermissionsBoundaryUsageCount"),
    ),
    Case(
        operation="DeletePolicy",
        source=f"{ROLES}::test_delete_non_existent_policy_returns_no_such_entity",
        ask=lambda iam: iam.delete_policy(PolicyArn=NOWHERE),
        aws=refused("NoSuchEntity", 404, f"Policy {NOWHERE} was not found."),
        here=refused("NoSuchEntity", 404, "Policy arn:aws:iam::123456789012:policy/nowhere not found"),
    ),
    Case(
        operation="AttachRolePolicy",
        source=f"{ROLES}::test_role_attach_policy",
        ask=lambda iam: _attached(iam, "attached"),
        aws=answered(),
    ),
    Case(
        operation="AttachRolePolicy",
        source=f"{ROLES}::test_role_attach_policy",
        ask=_attach("longpolicynamebutnoarn"),
        aws=refused("ValidationError", 400, "Invalid ARN:  Could not be parsed!"),
        here=refused("NoSuchEntity", 404, "Policy longpolicynamebutnoarn does not exist or is not attachable."),
    ),
    Case(
        operation="AttachRolePolicy",
        source=f"{ROLES}::test_role_attach_policy",
        ask=_attach(NOWHERE),
        aws=refused("NoSuchEntity", 404, f"Policy {NOWHERE} does not exist or is not attachable."),
    ),
    Case(
        operation="ListAttachedRolePolicies",
        source="iam/test_iam.py::TestIAMServiceRoles::test_service_role_lifecycle",
        ask=_attached_listed,
        aws=answered("AttachedPolicies.PolicyArn AttachedPolicies.PolicyName IsTruncated"),
    ),
    Case(
        operation="ListAccessKeys",
        source="iam/resource_providers/test_iam.py::test_iam_user_access_key",
        ask=_keys_listed,
        aws=answered(
            "AccessKeyMetadata.AccessKeyId AccessKeyMetadata.CreateDate AccessKeyMetadata.Status "
            "AccessKeyMetadata.UserName"
        ),
    ),
)
