"""What Lambda refuses: the code, status, message and members of its answer on AWS. And a refusal stores nothing.

The answers were recorded from AWS by the LocalStack project (localstack/localstack): "recorded-content" of
tests/aws/services/lambda_/test_lambda_api.snapshot.json and test_lambda.snapshot.json. Rule 94.
"""

import json
from typing import Any

import pytest

from tests.unit.localcloud.awslambda.fakes import ARN, ROLE
from tests.unit.localcloud.awslambda.recorded import Refusal, furnished, shown, stored

INVALID, MISSING, CONFLICT = "InvalidParameterValueException", "ResourceNotFoundException", "ResourceConflictException"
OTHER = ARN.replace("us-east-1", "eu-central-1")
ABSENT = f"{ARN[:-1]}missing"
NOT_FOUND = f"Function not found: {ABSENT}"
UNREACHABLE = "Functions from 'eu-central-1' are not reachable in this region ('us-east-1')"
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the {} API to retrieve the latest Revision Id"
)
CREATE = {"PackageType": "Image", "Code": {"ImageUri": "fn:1"}, "Role": ROLE}
PERMISSION = {"StatementId": "new", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
ALIAS = {"Name": "new", "FunctionVersion": "1"}
TAGS_OF_VERSION = "Tags on function aliases and versions are not supported. Please specify a function ARN."
TOO_MANY_TAGS = "Number of tags exceeds resource tag limit."
NO_CONFIG = "No Provisioned Concurrency Config found for this function"
FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please "
    "specify either a function name or an unqualified function ARN."
)
PROVISION = {"ProvisionedConcurrentExecutions": 1}
FIFTY_ONE = {f"key{number}": "" for number in range(51)}

# What operations need besides FunctionName, where a test only looks at the name.
REST: dict[str, dict[str, Any]] = {
    "CreateFunction": CREATE,
    "CreateAlias": ALIAS,
    "UpdateAlias": {"Name": "live"},
    "GetAlias": {"Name": "live"},
    "DeleteAlias": {"Name": "live"},
    "AddPermission": PERMISSION,
    "RemovePermission": {"StatementId": "s3"},
    "UpdateFunctionCode": {"ImageUri": "fn:2"},
    "CreateFunctionUrlConfig": {"AuthType": "NONE"},
    "PutFunctionConcurrency": {"ReservedConcurrentExecutions": 1},
    "PutProvisionedConcurrencyConfig": {"Qualifier": "1", **PROVISION},
    "GetProvisionedConcurrencyConfig": {"Qualifier": "1"},
    "DeleteProvisionedConcurrencyConfig": {"Qualifier": "1"},
    "TagResource": {"Tags": {"a": "b"}},
    "UntagResource": {"TagKeys": ["a"]},
}
WITHOUT_A_NAME = {"ListFunctions", "GetAccountSettings", "InvokeAsync", "InvokeWithResponseStream"}
NAMING = sorted(set(furnished().handlers()) - WITHOUT_A_NAME)
QUALIFIABLE = [
    "GetFunction", "GetFunctionConfiguration", "DeleteFunction", "Invoke", "AddPermission", "RemovePermission",
    "GetPolicy",
]  # fmt: skip


def of_name(operation: str, name: str) -> dict[str, Any]:
    key = "Resource" if operation in ("TagResource", "UntagResource", "ListTags") else "FunctionName"
    return {key: name, **REST.get(operation, {})}


def named(operation: str, name: str, code: str, message: str, **params: Any) -> Refusal:
    return Refusal(operation=operation, params=of_name(operation, name) | params, code=code, message=message)


def on(operation: str, code: str, message: str, **params: Any) -> Refusal:
    """A refusal on the function f, or on the one that the parameters name."""
    name = params.pop("FunctionName", "f")
    return named(operation, name, code, message, **params)


def tags(operation: str, resource: str, code: str, message: str, **params: Any) -> Refusal:
    return Refusal(operation=operation, params={"Resource": resource, **params}, code=code, message=message)


def untyped(refusal: Refusal) -> Refusal:
    """The same without Type: Lambda leaves it out of some."""
    return Refusal(
        operation=refusal.operation, params=refusal.params, code=refusal.code, message=refusal.message, body={}
    )


MATCHING = [
    *(named(operation, f"{ARN}:1", INVALID, MISMATCH, Qualifier="$LATEST") for operation in QUALIFIABLE),
    *(named(operation, f"{ARN}:$LATEST", INVALID, MISMATCH, Qualifier="1") for operation in QUALIFIABLE),
    *(
        on(operation, INVALID, MISMATCH, FunctionName="f:live-other", Qualifier="live", AuthType="NONE")
        for operation in ("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig")
    ),
]
FUNCTIONS = [
    on("GetFunction", MISSING, NOT_FOUND, FunctionName="missing"),
    on("GetFunction", MISSING, f"{NOT_FOUND}:$latest", FunctionName="missing", Qualifier="$latest"),
    on("GetFunction", MISSING, f"Function not found: {ARN}:7", Qualifier="7"),
    on("GetFunction", MISSING, f"Function not found: {ARN}:none", Qualifier="none"),
    on("GetFunctionConfiguration", MISSING, NOT_FOUND, FunctionName=ABSENT),
    on("GetFunctionConfiguration", MISSING, f"Function not found: {ARN}:7", FunctionName="f:7"),
    on("Invoke", MISSING, f"{NOT_FOUND}:$LATEST", FunctionName="missing"),
    on("Invoke", MISSING, f"Function not found: {ARN}:none", Qualifier="none"),
    on("DeleteFunction", MISSING, NOT_FOUND, FunctionName="missing"),
    on("DeleteFunction", MISSING, NOT_FOUND, FunctionName="missing", Qualifier="1233"),
    on(
        "DeleteFunction", INVALID, "$LATEST version cannot be deleted without deleting the function.",
        FunctionName=f"{ABSENT}:$LATEST", Qualifier="$LATEST",
    ),
    on("DeleteFunction", INVALID, "Deletion of aliases is not currently supported.", Qualifier="live"),
    on("CreateFunction", INVALID, TOO_MANY_TAGS, FunctionName="new", Tags=FIFTY_ONE),
    on(
        "CreateFunction", INVALID,
        f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: Member must "
        "have length less than or equal to 64", FunctionName="a" * 65,
    ),
    on(
        "CreateFunction", INVALID,
        "Lambda was unable to configure your environment variables because the environment variables you have "
        f'provided exceeded the 4KB limit. String measured: {{"AB":"{"x" * 4096}"}}',
        FunctionName="new", Environment={"Variables": {"AB": "x" * 4096}},
    ),
    on(
        "UpdateFunctionCode", INVALID, "Please provide ImageUri when updating a function with packageType Image.",
        ZipFile=b"PK", **{"ImageUri": None},
    ),
    on("UpdateFunctionCode", "PreconditionFailedException", REVISION.format("GetFunction/GetAlias"), RevisionId="x"),
    on(
        "UpdateFunctionConfiguration", "PreconditionFailedException", REVISION.format("GetFunction/GetAlias"),
        RevisionId="x",
    ),
    on("PublishVersion", "PreconditionFailedException", REVISION.format("GetFunction/GetAlias"), RevisionId="x"),
]  # fmt: skip
ALIASES = [
    on("CreateAlias", MISSING, f"{NOT_FOUND}:1", FunctionName="missing"),
    on("CreateAlias", MISSING, f"Function not found: {ARN}:10", FunctionVersion="10"),
    on("CreateAlias", CONFLICT, f"Alias already exists: {ARN}:live", Name="live"),
    *(
        refusal
        for operation, name in (("CreateAlias", "new"), ("UpdateAlias", "live"))
        for refusal in (
            on(
                operation, INVALID, "Number of items in AdditionalVersionWeights cannot be greater than 1",
                Name=name, RoutingConfig={"AdditionalVersionWeights": {"1": 0.8, "2": 0.2}},
            ),
            on(
                operation, INVALID,
                "Invalid function version 1. Function version 1 is already included in routing configuration.",
                Name=name, RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}},
            ),
            on(
                operation, MISSING, f"Function not found: {ARN}:10",
                Name=name, RoutingConfig={"AdditionalVersionWeights": {"10": 0.5}},
            ),
            untyped(on(
                operation, INVALID, "$LATEST is not supported for an alias pointing to more than 1 version",
                Name=name, FunctionVersion="$LATEST", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}},
            )),
        )
    ),
    on("UpdateAlias", MISSING, f"Alias not found: {ARN}:none", Name="none"),
    on("UpdateAlias", "PreconditionFailedException", REVISION.format("GetFunction/GetAlias"), RevisionId="x"),
    on("GetAlias", MISSING, f"Cannot find alias arn: {ARN}:none", Name="none"),
]  # fmt: skip
CONCURRENCY = [
    on("PutFunctionConcurrency", MISSING, f"{NOT_FOUND}:$LATEST", FunctionName="missing"),
    on("PutFunctionConcurrency", INVALID, FUNCTIONS_ONLY, FunctionName=f"{ARN}:$LATEST"),
    untyped(on(
        "PutFunctionConcurrency", INVALID,
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100].", ReservedConcurrentExecutions=1001,
    )),
    on("GetFunctionConcurrency", MISSING, NOT_FOUND, FunctionName="missing"),
    on("ListProvisionedConcurrencyConfigs", MISSING, NOT_FOUND, FunctionName="missing"),
    *(
        refusal
        for operation in (
            "PutProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"
        )
        for refusal in (
            on(operation, MISSING, f"Cannot find alias arn: {ABSENT}:none", FunctionName="missing", Qualifier="none"),
            on(operation, MISSING, f"{NOT_FOUND}:1", FunctionName="missing", Qualifier="1"),
            on(operation, MISSING, f"Cannot find alias arn: {ARN}:none", Qualifier="none"),
            on(operation, MISSING, f"Function not found: {ARN}:10", Qualifier="10"),
        )
    ),
    on("GetProvisionedConcurrencyConfig", "ProvisionedConcurrencyConfigNotFoundException", NO_CONFIG, Qualifier="1"),
    *(
        on(
            operation, INVALID, "The function resource provided must be an alias or a published version.",
            Qualifier="$LATEST",
        )
        for operation in ("GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig")
    ),
    on(
        "PutProvisionedConcurrencyConfig", INVALID,
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.", Qualifier="$LATEST",
    ),
    untyped(on(
        "PutProvisionedConcurrencyConfig", INVALID,
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
        ProvisionedConcurrentExecutions=1001,
    )),
    untyped(on(
        "PutProvisionedConcurrencyConfig", INVALID,
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
        "minimum value of [100].", ProvisionedConcurrentExecutions=1000,
    )),
]  # fmt: skip
PERMISSIONS = [
    on("AddPermission", MISSING, NOT_FOUND, FunctionName="missing"),
    on("AddPermission", MISSING, f"Cannot find alias arn: {ARN}:none", FunctionName="f:none"),
    on("AddPermission", MISSING, f"Function not found: {ARN}:42", Qualifier="42"),
    on("AddPermission", MISSING, f"Function not found: {ARN}:with-$", Qualifier="with-$"),
    on(
        "AddPermission", INVALID, "We currently do not support adding policies for $LATEST.",
        FunctionName="f:$LATEST", Qualifier="$LATEST",
    ),
    on(
        "AddPermission", INVALID, "The provided principal was invalid. Please check the principal and try again.",
        Principal="invalid.nonaws.com",
    ),
    on(
        "AddPermission", CONFLICT,
        "The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing "
        "statement.", StatementId="s3",
    ),
    on("AddPermission", "PreconditionFailedException", REVISION.format("GetPolicy"), RevisionId="x"),
    on("AddPermission", "PreconditionFailedException", REVISION.format("GetPolicy"), Qualifier="live", RevisionId="x"),
    on("RemovePermission", MISSING, f"No policy found for: {ABSENT}", FunctionName="missing"),
    on("RemovePermission", MISSING, f"Cannot find alias arn: {ARN}:none", Qualifier="none"),
    on("RemovePermission", MISSING, "No policy is associated with the given resource.", Qualifier="live"),
    on("RemovePermission", MISSING, "Statement no is not found in resource policy.", StatementId="no"),
    *(
        on("GetPolicy", MISSING, "The resource you requested does not exist.", **params)
        for params in ({"FunctionName": "missing"}, {"Qualifier": "77"}, {"Qualifier": "live"})
    ),
]  # fmt: skip
URLS = [
    *(
        on(operation, MISSING, "Function does not exist", AuthType="NONE", **params)
        for operation in ("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig")
        for params in ({"FunctionName": "missing"}, {"FunctionName": ABSENT}, {"Qualifier": "none"})
    ),
    *(
        on(operation, MISSING, "The resource you requested does not exist.", **params)
        for operation in ("GetFunctionUrlConfig", "DeleteFunctionUrlConfig")
        for params in ({"FunctionName": "missing"}, {"Qualifier": "none"}, {"Qualifier": "live"})
    ),
    on("UpdateFunctionUrlConfig", MISSING, "The resource you requested does not exist.", Qualifier="live"),
    on("ListFunctionUrlConfigs", MISSING, "Function does not exist", FunctionName="missing"),
    on(
        "CreateFunctionUrlConfig", CONFLICT,
        f"Failed to create function url config for [functionArn = {ARN}]. Error message:  FunctionUrlConfig exists for "
        "this Lambda function",
    ),
]  # fmt: skip
TAGS = [
    *(tags(operation, ABSENT, MISSING, NOT_FOUND, **REST.get(operation, {})) for operation in (
        "TagResource", "UntagResource", "ListTags"
    )),
    *(tags(operation, f"{ARN}:{of}", INVALID, TAGS_OF_VERSION, **REST.get(operation, {})) for operation in (
        "TagResource", "UntagResource", "ListTags"
    ) for of in ("1", "$LATEST", "live", "none")),
    *(tags(operation, arn, MISSING, f"{what} not found: {arn}", **REST.get(operation, {})) for operation in (
        "TagResource", "UntagResource", "ListTags"
    ) for what, arn in (
        ("Event source mapping", f"{ARN[:-10]}event-source-mapping:00000000-0000-0000-0000-000000000000"),
        ("Capacity provider", f"{ARN[:-10]}capacity-provider:mine"),
    )),
    tags("TagResource", ARN, INVALID, "An error occurred and the request cannot be processed.", Tags={}),
    tags("TagResource", ARN, INVALID, TOO_MANY_TAGS, Tags=FIFTY_ONE),
]  # fmt: skip
REFUSALS = [*MATCHING, *FUNCTIONS, *ALIASES, *CONCURRENCY, *PERMISSIONS, *URLS, *TAGS]


@pytest.mark.parametrize("refusal", REFUSALS, ids=shown)
def test_a_refusal_is_the_one_that_aws_recorded_and_stores_nothing(refusal: Refusal) -> None:
    fakes = furnished()
    before = stored(fakes)
    params = {key: value for key, value in refusal.params.items() if value is not None}
    response = fakes.answer(refusal.operation, **params)
    assert (response.headers["x-amzn-ErrorType"], response.status) == (refusal.code, refusal.status)
    assert json.loads(bytes(response.body)) == {refusal.message_key: refusal.message} | refusal.body  # type: ignore[arg-type]
    fakes.later.run()
    assert stored(fakes) == before


@pytest.mark.parametrize("operation", NAMING)
def test_an_arn_of_another_region_reaches_no_function(operation: str) -> None:
    fakes = furnished()
    before = stored(fakes)
    response = fakes.answer(operation, **of_name(operation, OTHER))
    assert (response.headers["x-amzn-ErrorType"], response.status) == (MISSING, 404)
    assert json.loads(bytes(response.body)) == {"Message": UNREACHABLE, "Type": "User"}  # type: ignore[arg-type]
    assert stored(fakes) == before


@pytest.mark.parametrize("operation", NAMING)
def test_an_arn_of_another_account_reaches_no_function(operation: str) -> None:
    fakes = furnished()
    before = stored(fakes)
    response = fakes.answer(operation, **of_name(operation, ARN.replace("123456789012", "210987654321")))
    assert (response.headers["x-amzn-ErrorType"], response.status) == ("AccessDeniedException", 403)
    assert stored(fakes) == before


def test_the_refusal_of_another_accounts_function_names_caller_action_and_function() -> None:
    """The form in crucial-project/serverless-shell#2."""
    other = ARN.replace("123456789012", "210987654321")
    assert furnished().refused("Invoke", FunctionName=f"{other}:live").message == (
        "User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:InvokeFunction on resource: "
        f"{other} because no resource-based policy allows the lambda:InvokeFunction action"
    )


def test_creating_a_function_in_another_account_is_refused_without_a_reason() -> None:
    refusal = furnished().refused("CreateFunction", FunctionName=ARN.replace("123456789012", "210987654321"), **CREATE)
    assert (refusal.code, refusal.message, refusal.status) == ("AccessDeniedException", "", 403)


@pytest.mark.parametrize(
    ("operation", "params", "faults"),
    [
        ("GetFunction", {"FunctionName": "my-function!"}, ["'my-function!' at 'functionName'"]),
        ("GetFunction", {"FunctionName": "f:$LATES"}, ["'f:$LATES' at 'functionName'"]),
        ("GetFunction", {"FunctionName": f"{ARN}:1:2"}, [f"'{ARN}:1:2' at 'functionName'"]),
        ("DeleteFunction", {"FunctionName": "arn:aws:lambda::1:function:f"}, ["'arn:aws:lambda::1:function:f' at "]),
        ("Invoke", {"FunctionName": "f", "Qualifier": "no!"}, ["'no!' at 'qualifier'"]),
        ("Invoke", {"FunctionName": "*", "Qualifier": "a" * 129}, ["'*' at 'functionName'", f"'{'a' * 129}' at "]),
        ("CreateFunction", {**CREATE, "FunctionName": "invalid:function:name"}, ["'invalid:function:name' at "]),
        (
            "CreateFunctionUrlConfig",
            {"FunctionName": "f", "AuthType": "NONE", "Qualifier": "1"},
            ["'1' at 'qualifier'"],
        ),
        ("CreateAlias", {"FunctionName": "f", "Name": "2024", "FunctionVersion": "1"}, ["'2024' at 'name'"]),
        (
            "CreateAlias",
            {"FunctionName": "f", **ALIAS, "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}}},
            [
                "'{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must "
                "satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater "
                "than or equal to 0.0, Member must not be null]"
            ],
        ),
        (
            "CreateAlias",
            {"FunctionName": "f", **ALIAS, "RoutingConfig": {"AdditionalVersionWeights": {"$LATEST": 0.5}}},
            [
                "'{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map keys "
                "must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
                "greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
            ],
        ),
        (
            "CreateFunction",
            {**CREATE, "FunctionName": "new", "Architectures": ["X86_64"]},
            [
                "'[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member "
                "must satisfy enum value set: [x86_64, arm64], Member must not be null]"
            ],
        ),
    ],
)
def test_a_value_that_the_model_forbids_is_a_validation_exception_in_awss_form(
    operation: str, params: dict[str, Any], faults: list[str]
) -> None:
    response = furnished().answer(operation, **params)
    body = json.loads(bytes(response.body))  # type: ignore[arg-type]
    assert (response.headers["x-amzn-ErrorType"], response.status, list(body)) == (
        "ValidationException",
        400,
        ["message"],
    )
    number = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: Value "
    assert body["message"].startswith(number)
    assert [fault for fault in faults if f"Value {fault}" not in body["message"]] == []
