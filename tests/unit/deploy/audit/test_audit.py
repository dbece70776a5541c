"""Each finding fires on its fault and on nothing close to it; denied access is a finding too."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.audit import iam, network, serving, storage
from deploy.audit.finding import Finding, is_severe, markdown, ranked
from deploy.commands.audit import audit
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import AwsError
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=100), NOW - timedelta(days=10)
BLOCKED = dict.fromkeys(storage.BLOCKS, True)


def summaries(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.severity, each.finding) for each in findings]


def tcp(first: int, last: int, cidr: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": cidr}]}


def allowing(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (allowing("*"), [("critical", "p allows everything")]),
        (allowing(["s3:*", "ec2:*"]), [("high", "p allows ec2:*, s3:* on everything")]),
        ({"Statement": allowing("s3:*")["Statement"][0]}, [("high", "p allows s3:* on everything")]),
        (allowing("s3:*", "arn:aws:s3:::mine/*"), []),
        (allowing("s3:GetObject"), []),
        (allowing("s3:*", Condition={"StringEquals": {"aws:ResourceTag/a": "b"}}), []),
        ({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}, []),
    ],
)
def test_wildcards_of_inline_policies_are_found(document: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    user = {"UserName": "u", "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": document}]}
    assert summaries(iam.policies("user", user, {})) == expected


@pytest.mark.parametrize(
    ("name", "severity"),
    [("AdministratorAccess", "critical"), ("AmazonSageMakerFullAccess", "high"), ("ReadOnlyAccess", None)],
)
def test_full_access_of_aws_is_found_by_its_name_even_where_its_document_is_missing(
    name: str, severity: str | None
) -> None:
    role = {"RoleName": "r", "AttachedManagedPolicies": [{"PolicyName": name, "PolicyArn": f"arn:{name}"}]}
    assert [each.severity for each in iam.policies("role", role, {})] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ({"CreateDate": OLD}, ["never used in the 100 days since it was created"]),
        ({"CreateDate": OLD, "RoleLastUsed": {"LastUsedDate": OLD}}, ["not used for 100 days"]),
        ({"CreateDate": OLD, "RoleLastUsed": {"LastUsedDate": NEW}}, []),
        ({"CreateDate": NEW}, []),
        ({"CreateDate": OLD, "Path": "/aws-service-role/x/"}, []),
    ],
)
def test_unused_roles_are_found(role: Mapping[str, Any], expected: list[str]) -> None:
    assert [each.finding for each in iam.stale_role({"RoleName": "r", **role}, NOW)] == expected


@pytest.mark.parametrize(
    ("status", "made", "used", "expected"),
    [
        ("Active", OLD, None, ["the access key K is never used"]),
        ("Active", OLD, OLD, ["the access key K is not used for 100 days"]),
        ("Active", OLD, NEW, ["the access key K is 100 days old"]),
        ("Active", NEW, None, []),
        ("Inactive", OLD, None, []),
    ],
)
def test_keys_that_are_old_or_idle_are_found(
    status: str, made: datetime, used: datetime | None, expected: list[str]
) -> None:
    key = {"UserName": "u", "AccessKeyId": "K", "Status": status, "CreateDate": made}
    assert [each.finding for each in iam.access_key(key, used, NOW)] == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (tcp(22, 22, "0.0.0.0/0"), [("high", "port 22")]),
        (tcp(443, 443, "0.0.0.0/0"), [("medium", "port 443")]),
        ({**tcp(1, 99, ""), "IpRanges": [], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, [("high", "port 1–99")]),
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, [("high", "every port")]),
        (tcp(22, 22, "10.0.0.1/32"), []),
    ],
)
def test_groups_that_are_open_to_the_internet_are_found(rule: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    group = {"GroupId": "sg-1", "GroupName": "g", "IpPermissions": [rule]}
    findings = list(network.security_group(group))
    assert [each.severity for each in findings] == [severity for severity, _ in expected]
    assert all(text in each.finding for each, (_, text) in zip(findings, expected, strict=True))


def grant(uri: str) -> list[dict[str, Any]]:
    return [{"Grantee": {"URI": uri, "Type": "Group"}, "Permission": "READ"}]


@pytest.mark.parametrize(
    ("block", "is_public", "grants", "severities"),
    [
        (BLOCKED, False, [], []),
        ({}, False, [], ["medium"]),
        ({**BLOCKED, "BlockPublicPolicy": False}, False, [], ["medium"]),
        ({}, True, [], ["critical", "medium"]),
        (BLOCKED, True, grant(storage.EVERYBODY), []),
        ({}, False, grant(storage.EVERYBODY), ["critical", "medium"]),
        ({}, False, grant(storage.ANY_ACCOUNT), ["critical", "medium"]),
    ],
)
def test_public_buckets_are_found(
    block: dict[str, bool], is_public: bool, grants: list[Any], severities: list[str]
) -> None:
    assert [each.severity for each in storage.bucket("b", block, is_public, grants)] == severities


@pytest.mark.parametrize(
    ("scaled", "invocations", "expected"),
    [
        (True, 5.0, []),
        (False, 5.0, ["variant main does not scale"]),
        (True, 0.0, ["variant main got no request in a day, and is billed"]),
        (True, None, []),
    ],
)
def test_idle_endpoints_and_those_that_do_not_scale_are_found(
    scaled: bool, invocations: float | None, expected: list[str]
) -> None:
    targets = {"endpoint/e/variant/main"} if scaled else {"endpoint/other/variant/main"}
    variant = {"VariantName": "main", "CurrentInstanceCount": 1}
    assert [each.finding for each in serving.endpoint("e", variant, targets, invocations)] == expected
    assert list(serving.endpoint("e", {"VariantName": "main"}, targets, 0.0)) == []  # serverless


@pytest.mark.parametrize(("counts", "expected"), [({"CRITICAL": 2, "LOW": 9}, 1), ({"MEDIUM": 3}, 0), ({}, 0)])
def test_images_with_severe_vulnerabilities_are_found(counts: dict[str, int], expected: int) -> None:
    image = {"imageDigest": "sha256:1", "imageScanFindingsSummary": {"findingSeverityCounts": counts}}
    assert len(list(serving.image("r", image))) == expected


@pytest.mark.parametrize(
    ("summary", "severities"),
    [
        ({"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0}, []),
        ({"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 1}, ["critical", "critical"]),
    ],
)
def test_the_root_user_should_have_mfa_and_no_keys(summary: dict[str, int], severities: list[str]) -> None:
    aws = FakeAws({"GetAccountSummary": {"SummaryMap": summary}})
    assert [each.severity for each in iam.root(aws, NOW)] == severities


CLEAN: dict[str, Any] = {"GetAccountSummary": {"SummaryMap": {"AccountMFAEnabled": 1}}}


def reviewed(settings: Settings, aws: FakeAws) -> list[Finding]:
    return audit(Session(settings=settings, call=aws, build=str, screen=Screen(out=io.StringIO())), now=NOW)


def test_a_clean_account_has_no_finding(settings: Settings) -> None:
    assert reviewed(settings, FakeAws(CLEAN)) == []


def test_where_access_is_denied_the_review_names_the_permission_and_goes_on(
    settings: Settings,
) -> None:
    denied = AwsError(operation="ec2.DescribeSecurityGroups", code="UnauthorizedOperation", message="no")
    one = AwsError(operation="s3.GetBucketAcl", code="AccessDenied", message="no")
    buckets = {"Buckets": [{"Name": "a"}, {"Name": "b"}]}
    aws = FakeAws({**CLEAN, "DescribeSecurityGroups": denied, "ListBuckets": buckets, "GetBucketAcl": [one, {}]})
    findings = reviewed(settings, aws)
    assert [(each.severity, each.what) for each in findings] == [
        ("medium", "bucket/b"),
        ("unknown", "bucket/a"),
        ("unknown", "security groups"),
    ]
    assert "request the permission ec2:DescribeSecurityGroups" in findings[2].fix
    assert not is_severe(findings)


def test_other_errors_of_aws_are_not_taken_for_denied_access(settings: Settings) -> None:
    broken = AwsError(operation="s3.ListBuckets", code="InternalError", message="no")
    with pytest.raises(AwsError, match="InternalError"):
        reviewed(settings, FakeAws({**CLEAN, "ListBuckets": broken}))


def test_the_details_of_iam_come_in_pages(settings: Settings) -> None:
    page = {"RoleDetailList": [{"RoleName": "a", "CreateDate": OLD}], "IsTruncated": True, "Marker": "m"}
    aws = FakeAws({**CLEAN, "GetAccountAuthorizationDetails": [page, {**page, "IsTruncated": False}]})
    assert len(reviewed(settings, aws)) == 1  # the same role twice is one finding
    assert aws.operations.count("GetAccountAuthorizationDetails") == 2


def test_the_document_is_a_table_whose_cells_hold_no_bars() -> None:
    first = Finding(severity="low", what="a/b", finding="x | y", fix="./inv down")
    second = Finding(severity="critical", what="c/d", finding="z", fix="do it")
    text = markdown(ranked([first, second]), account="1", region="r", when="today")
    assert text.splitlines()[2] == "today: 1 critical, 1 low."
    assert text.splitlines()[-1] == "| low | a/b | x \\| y | `./inv` down |"
    assert "nothing found" in markdown([], account="1", region="r", when="today")


def test_the_review_only_reads_and_its_requests_are_ones_that_aws_takes(settings: Settings, golden: Golden) -> None:
    replies = {
        **CLEAN,
        "ListUsers": {"Users": [{"UserName": "u"}]},
        "ListAccessKeys": {"AccessKeyMetadata": [{"UserName": "u", "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}]},
        "GetAccessKeyLastUsed": {"AccessKeyLastUsed": {}},
        "ListBuckets": {"Buckets": [{"Name": "bucket"}]},
        "ListEndpoints": {"Endpoints": [{"EndpointName": "e", "CreationTime": OLD}]},
        "DescribeEndpoint": {"ProductionVariants": [{"VariantName": "main", "CurrentInstanceCount": 1}]},
        "DescribeRepositories": {"repositories": [{"repositoryName": "kennel/serve"}]},
    }
    aws = FakeAws(replies)
    reviewed(settings, aws)
    assert len(aws.sent) > 10
    for request in aws.sent:
        assert request.operation.startswith(("Get", "List", "Describe"))
        if request.params:  # botocore's models say nothing of operations without
            golden("audit", request)
