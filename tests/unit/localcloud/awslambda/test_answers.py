"""The status and the members of Lambda's answers, and how revisions, states and ARNs go through them.

The answers were recorded from AWS by the LocalStack project (localstack/localstack): "recorded-content" of
tests/aws/services/lambda_/test_lambda_api.snapshot.json (TestLambdaImages, TestLambdaVersions, TestLambdaAlias,
TestLambdaRevisions, TestLambdaPermissions, TestLambdaUrl, TestLoggingConfig …) and test_lambda.snapshot.json. Rule 94.
"""

import json
from typing import Any

import pytest

from tests.unit.localcloud.awslambda.fakes import ARN, ROLE, Fakes
from tests.unit.localcloud.awslambda.recorded import furnished

CONFIG = {
    "Architectures", "CodeSha256", "CodeSize", "Description", "EphemeralStorage", "FunctionArn", "FunctionName",
    "LastModified", "LoggingConfig", "MemorySize", "PackageType", "RevisionId", "Role", "SnapStart", "Timeout",
    "TracingConfig", "Version",
}  # fmt: skip
PENDING = {"State", "StateReason", "StateReasonCode"}
ACTIVE = {"State", "LastUpdateStatus"}
UPDATING = {*ACTIVE, "LastUpdateStatusReason", "LastUpdateStatusReasonCode"}
CODE = {"ImageUri", "RepositoryType", "ResolvedImageUri"}
ALIAS = {"AliasArn", "Description", "FunctionVersion", "Name", "RevisionId"}
PROVISIONED = {
    "RequestedProvisionedConcurrentExecutions", "AllocatedProvisionedConcurrentExecutions",
    "AvailableProvisionedConcurrentExecutions", "Status", "LastModified",
}  # fmt: skip
URL = {"AuthType", "CreationTime", "FunctionArn", "FunctionUrl"}
NEW = {"FunctionName": "new", "PackageType": "Image", "Code": {"ImageUri": "fn:1"}, "Role": ROLE}
F = {"FunctionName": "f"}
WARM = {**F, "Qualifier": "2"}


def body(fakes: Fakes, operation: str, **params: Any) -> dict[str, Any]:
    response = fakes.answer(operation, **params)
    assert response.status < 300, bytes(response.body)  # type: ignore[arg-type]
    return dict(json.loads(bytes(response.body) or b"{}"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "params", "status", "members"),
    [
        ("CreateFunction", NEW, 201, CONFIG | PENDING),
        ("CreateFunction", NEW | {"Publish": True, "FunctionName": "other"}, 201, CONFIG | PENDING),
        ("GetFunction", F, 200, {"Configuration", "Code"}),
        ("GetFunctionConfiguration", F, 200, CONFIG | ACTIVE),
        ("UpdateFunctionConfiguration", {**F, "Timeout": 9}, 200, CONFIG | UPDATING),
        ("UpdateFunctionCode", {**F, "ImageUri": "fn:2"}, 200, CONFIG | UPDATING),
        ("UpdateFunctionCode", {**F, "ImageUri": "fn:2", "Publish": True}, 200, CONFIG | PENDING),
        ("PublishVersion", F, 201, CONFIG | ACTIVE),
        ("ListFunctions", {}, 200, {"Functions"}),
        ("ListVersionsByFunction", F, 200, {"Versions"}),
        ("DeleteFunction", {**F, "Qualifier": "2"}, 204, set()),
        ("DeleteFunction", {**F, "Qualifier": "77"}, 204, set()),
        ("DeleteFunction", F, 204, set()),
        ("Invoke", {**F, "InvocationType": "DryRun"}, 204, set()),
        ("CreateAlias", {**F, "Name": "new", "FunctionVersion": "2"}, 201, ALIAS),
        ("UpdateAlias", {**F, "Name": "live"}, 200, ALIAS),
        ("GetAlias", {**F, "Name": "live"}, 200, ALIAS),
        ("ListAliases", F, 200, {"Aliases"}),
        ("DeleteAlias", {**F, "Name": "none"}, 204, set()),
        ("PutFunctionConcurrency", {**F, "ReservedConcurrentExecutions": 0}, 200, {"ReservedConcurrentExecutions"}),
        ("GetFunctionConcurrency", F, 200, set()),
        ("DeleteFunctionConcurrency", F, 204, set()),
        ("PutProvisionedConcurrencyConfig", {**WARM, "ProvisionedConcurrentExecutions": 1}, 202, PROVISIONED),
        ("DeleteProvisionedConcurrencyConfig", WARM, 204, set()),
        ("ListProvisionedConcurrencyConfigs", F, 200, {"ProvisionedConcurrencyConfigs"}),
        ("GetAccountSettings", {}, 200, {"AccountLimit", "AccountUsage"}),
        (
            "AddPermission",
            {**F, "StatementId": "a", "Action": "lambda:InvokeFunction", "Principal": "123456789012"},
            201,
            {"Statement"},
        ),
        ("GetPolicy", F, 200, {"Policy", "RevisionId"}),
        ("RemovePermission", {**F, "StatementId": "s3"}, 204, set()),
        ("CreateFunctionUrlConfig", {**F, "Qualifier": "live", "AuthType": "NONE"}, 201, URL),
        (
            "CreateFunctionUrlConfig",
            {**F, "Qualifier": "live", "AuthType": "NONE", "InvokeMode": "BUFFERED"},
            201,
            URL | {"InvokeMode"},
        ),
        ("UpdateFunctionUrlConfig", {**F, "AuthType": "AWS_IAM"}, 200, URL | {"LastModifiedTime"}),
        ("GetFunctionUrlConfig", F, 200, URL | {"LastModifiedTime", "InvokeMode"}),
        ("ListFunctionUrlConfigs", F, 200, {"FunctionUrlConfigs"}),
        ("DeleteFunctionUrlConfig", F, 204, set()),
        ("TagResource", {"Resource": ARN, "Tags": {"a": "b"}}, 204, set()),
        ("UntagResource", {"Resource": ARN, "TagKeys": ["none"]}, 204, set()),
        ("ListTags", {"Resource": ARN}, 200, {"Tags"}),
    ],
)
def test_an_answer_has_awss_status_and_members(
    operation: str, params: dict[str, Any], status: int, members: set[str]
) -> None:
    response = furnished().answer(operation, **params)
    assert response.status == status
    assert set(json.loads(bytes(response.body) or b"{}")) == members  # type: ignore[arg-type]
    if status == 204:
        assert (response.body, "Content-Type" in response.headers) == (b"", False)


def test_the_lists_and_the_code_have_awss_members() -> None:
    fakes = furnished()
    assert set(body(fakes, "GetFunction", **F)["Code"]) == CODE
    assert all(set(row) == CONFIG for row in body(fakes, "ListVersionsByFunction", **F)["Versions"])
    assert set(body(fakes, "ListFunctionUrlConfigs", **F)["FunctionUrlConfigs"][0]) == URL | {
        "LastModifiedTime", "InvokeMode"
    }  # fmt: skip
    fakes.do("PutProvisionedConcurrencyConfig", Qualifier="2", ProvisionedConcurrentExecutions=1)
    fakes.later.run()
    assert set(body(fakes, "GetProvisionedConcurrencyConfig", **WARM)) == PROVISIONED


def test_a_configuration_has_the_arn_by_which_it_was_asked_for() -> None:
    fakes = furnished()
    arns = {
        qualifier: body(fakes, "GetFunctionConfiguration", **F, **({"Qualifier": qualifier} if qualifier else {}))
        for qualifier in ("", "$LATEST", "1", "live")
    }
    assert {qualifier: (config["FunctionArn"], config["Version"]) for qualifier, config in arns.items()} == {
        "": (ARN, "$LATEST"),
        "$LATEST": (f"{ARN}:$LATEST", "$LATEST"),
        "1": (f"{ARN}:1", "1"),
        "live": (f"{ARN}:live", "1"),
    }
    every = [f"{ARN}:$LATEST", f"{ARN}:1", f"{ARN}:2"]
    assert [row["FunctionArn"] for row in body(fakes, "ListVersionsByFunction", **F)["Versions"]] == every
    assert [row["FunctionArn"] for row in body(fakes, "ListFunctions", FunctionVersion="ALL")["Functions"]] == every
    assert [row["FunctionArn"] for row in body(fakes, "ListFunctions")["Functions"]] == [ARN]


def test_a_function_that_is_created_with_a_version_answers_with_the_versions_number() -> None:
    fakes = Fakes()
    made = body(fakes, "CreateFunction", **NEW, Publish=True)
    assert (made["Version"], made["State"]) == ("1", "Pending")
    assert made["FunctionArn"].endswith(":function:new")
    assert fakes.do("GetFunctionConfiguration", FunctionName="new:1")["State"] == "Pending"
    fakes.later.run()
    version = fakes.do("GetFunctionConfiguration", FunctionName="new:1")
    assert (version["State"], version["LastUpdateStatus"]) == ("Active", "Successful")


def test_a_version_that_is_published_with_an_update_is_pending_until_the_update_ends() -> None:
    fakes = furnished()
    made = body(fakes, "UpdateFunctionCode", **F, ImageUri="fn:2", Publish=True)
    assert (made["Version"], made["FunctionArn"], made["State"]) == ("3", f"{ARN}:3", "Pending")
    assert fakes.do("GetFunctionConfiguration")["LastUpdateStatus"] == "InProgress"
    fakes.later.run()
    version = fakes.do("GetFunctionConfiguration", Qualifier="3")
    assert (version["State"], version["RevisionId"]) == ("Active", made["RevisionId"])


def test_a_version_is_published_once_for_each_change_even_of_the_description_alone() -> None:
    fakes = furnished()
    assert body(fakes, "PublishVersion", **F, Description="mine")["Version"] == "2"
    fakes.do("UpdateFunctionConfiguration", Description="third")
    fakes.later.run()
    published = body(fakes, "PublishVersion", **F, Description="mine")
    assert (published["Version"], published["Description"], published["State"]) == ("3", "mine", "Active")
    assert body(fakes, "PublishVersion", **F)["Description"] == "mine"
    assert fakes.do("GetFunctionConfiguration")["Description"] == "third"


def test_publishing_changes_the_revision_of_latest_and_an_alias_changes_only_its_own() -> None:
    fakes = Fakes()
    created = fakes.create()["RevisionId"]
    fakes.later.run()
    active = fakes.do("GetFunctionConfiguration")["RevisionId"]
    version = fakes.do("PublishVersion")["RevisionId"]
    published = fakes.do("GetFunctionConfiguration")["RevisionId"]
    alias = fakes.do("CreateAlias", Name="live", FunctionVersion="1")["RevisionId"]
    assert len({created, active, version, published, alias}) == 5
    fakes.later.run()
    assert fakes.do("GetFunctionConfiguration")["RevisionId"] == published
    assert fakes.do("GetFunctionConfiguration", Qualifier="1")["RevisionId"] == version
    assert fakes.do("UpdateAlias", Name="live", RevisionId=alias)["RevisionId"] != alias


def test_a_policy_has_a_revision_of_its_own_which_starts_as_the_resources() -> None:
    fakes = furnished()
    permission = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "Qualifier": "live"}
    alias = fakes.do("GetAlias", Name="live")["RevisionId"]
    fakes.do("AddPermission", **permission, StatementId="a", RevisionId=alias)
    policy = fakes.do("GetPolicy", Qualifier="live")["RevisionId"]
    assert fakes.refused("AddPermission", **permission, StatementId="b", RevisionId=alias).status == 412
    fakes.do("AddPermission", **permission, StatementId="b", RevisionId=policy)
    assert fakes.refused("RemovePermission", Qualifier="live", StatementId="b", RevisionId=policy).status == 412
    assert fakes.do("GetAlias", Name="live")["RevisionId"] == alias


def test_the_last_statement_takes_the_policy_with_it() -> None:
    fakes = furnished()
    for sid in ("s3", "sns"):
        fakes.do("RemovePermission", StatementId=sid)
    assert fakes.refused("GetPolicy").message == "The resource you requested does not exist."
    assert fakes.refused("RemovePermission", StatementId="s3").message.startswith("No policy is associated")


@pytest.mark.parametrize(
    ("principal", "in_policy"),
    [
        ("*", "*"),
        ("lambda.amazonaws.com", {"Service": "lambda.amazonaws.com"}),
        ("123456789012", {"AWS": "arn:aws:iam::123456789012:root"}),
        ("arn:aws:iam::123456789012:user/me", {"AWS": "arn:aws:iam::123456789012:user/me"}),
    ],
)
def test_a_permission_names_its_principal_and_conditions_as_awss_policies_do(principal: str, in_policy: Any) -> None:
    request = {
        "StatementId": "a", "Action": "lambda:InvokeFunctionUrl", "Principal": principal,
        "PrincipalOrgID": "o-1234567890", "SourceArn": "arn:aws:s3:::bucket", "SourceAccount": "123456789012",
        "FunctionUrlAuthType": "NONE", "EventSourceToken": "token",
    }  # fmt: skip
    assert json.loads(body(furnished(), "AddPermission", **F, **request)["Statement"]) == {
        "Sid": "a", "Effect": "Allow", "Principal": in_policy, "Action": "lambda:InvokeFunctionUrl", "Resource": ARN,
        "Condition": {
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
            "StringEquals": {
                "AWS:SourceAccount": "123456789012", "lambda:FunctionUrlAuthType": "NONE",
                "aws:PrincipalOrgID": "o-1234567890", "lambda:EventSourceToken": "token",
            },
        },
    }  # fmt: skip


def test_only_json_logs_have_levels_and_the_containers_follow_the_settings() -> None:
    fakes = furnished()
    made = body(fakes, "UpdateFunctionConfiguration", **F, LoggingConfig={"LogFormat": "JSON", "LogGroup": "mine"})
    levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    assert made["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": "mine", **levels}
    fakes.later.run()
    fakes.call()
    environment = fakes.engine.specs[-1].environment
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == "mine"
    assert (environment["AWS_LAMBDA_LOG_FORMAT"], environment["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "INFO")
    plain = body(fakes, "UpdateFunctionConfiguration", **F, LoggingConfig={"LogFormat": "Text"})
    assert plain["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "mine"}
    fakes.later.run()
    fakes.call()
    assert "AWS_LAMBDA_LOG_FORMAT" not in fakes.engine.specs[-1].environment


def test_an_image_configuration_overrides_the_image_until_it_is_emptied() -> None:
    fakes = furnished()
    override = {"EntryPoint": ["sh"], "Command": ["-c", "echo"], "WorkingDirectory": "/app"}
    made = body(fakes, "UpdateFunctionConfiguration", **F, ImageConfig=override)
    assert made["ImageConfigResponse"] == {"ImageConfig": override}
    fakes.later.run()
    fakes.call()
    spec = fakes.engine.specs[-1]
    assert (spec.command[-3:], spec.working_directory) == (("sh", "-c", "echo"), "/app")
    assert "ImageConfigResponse" not in body(fakes, "UpdateFunctionConfiguration", **F, ImageConfig={})
    fakes.later.run()
    fakes.call()
    assert fakes.engine.specs[-1].working_directory is None


def test_a_url_keeps_the_invoke_mode_that_was_once_set() -> None:
    fakes = furnished()
    assert body(fakes, "UpdateFunctionUrlConfig", **F, InvokeMode="RESPONSE_STREAM")["InvokeMode"] == "RESPONSE_STREAM"
    assert body(fakes, "UpdateFunctionUrlConfig", **F)["InvokeMode"] == "RESPONSE_STREAM"
