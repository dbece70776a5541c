"""Lambda on a real port, with containers in memory: what boto3 sends and what it makes of the answers.

The answers are those that the LocalStack project recorded from AWS (localstack/localstack,
tests/aws/services/lambda_/test_lambda_api.snapshot.json): the errors' classes, statuses and texts, and the 204s without
a body. Rule 94.
"""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from tests.unit.localcloud.awslambda.fakes import ARN, ROLE
from tests.unit.localcloud.awslambda.recorded import furnished

REGION = "us-east-1"
NAME = (
    "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?"
)


class Lambda:
    """A client of a localcloud that has the function f. The client leaves all checks to the server."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def refused(self, operation: str, **params: Any) -> tuple[str, int, str]:
        with pytest.raises(ClientError) as caught:
            getattr(self.api, operation)(**params)
        answer: Any = caught.value.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]

    def status(self, operation: str, **params: Any) -> int:
        return int(getattr(self.api, operation)(**params)["ResponseMetadata"]["HTTPStatusCode"])


@pytest.fixture
def aws() -> Iterator[Lambda]:
    fakes = furnished()
    sockets = bind(0, ["127.0.0.1"])
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    service = Service(name="lambda", handlers=fakes.handlers())
    listener = Listener(sockets, Application([service], region=REGION, health=dict))
    listener.start()
    yield Lambda(
        boto3.client(
            "lambda", endpoint_url=url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="s",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
    )  # fmt: skip
    listener.stop()


def test_a_deletion_answers_204_without_a_body(aws: Lambda) -> None:
    assert aws.status("delete_alias", FunctionName="f", Name="live") == 204
    assert aws.status("remove_permission", FunctionName="f", StatementId="s3") == 204
    assert aws.status("delete_function_url_config", FunctionName="f") == 204
    assert aws.api.delete_function(FunctionName="f", Qualifier="1")["StatusCode"] == 204
    assert aws.status("delete_function", FunctionName="f:2") == 204
    assert aws.status("delete_function", FunctionName=ARN) == 204
    assert aws.refused("delete_function", FunctionName="f") == (
        "ResourceNotFoundException", 404, f"Function not found: {ARN}"
    )  # fmt: skip


def test_a_whole_arn_in_the_path_names_the_function_and_its_alias(aws: Lambda) -> None:
    for name in (f"{ARN}:live", "f:live", "123456789012:function:f:live"):
        config = aws.api.get_function_configuration(FunctionName=name)
        assert (config["FunctionArn"], config["Version"]) == (f"{ARN}:live", "1")
        assert aws.api.invoke(FunctionName=name)["ExecutedVersion"] == "1"
    assert aws.refused("get_function", FunctionName=f"{ARN}:live", Qualifier="1") == (
        "InvalidParameterValueException", 400,
        "The derived qualifier from the function name does not match the specified qualifier.",
    )  # fmt: skip


def test_an_arn_of_another_region_deletes_nothing(aws: Lambda) -> None:
    other = ARN.replace(REGION, "eu-central-1")
    for operation in ("delete_function", "invoke", "get_function"):
        assert aws.refused(operation, FunctionName=other) == (
            "ResourceNotFoundException", 404,
            "Functions from 'eu-central-1' are not reachable in this region ('us-east-1')",
        )  # fmt: skip
    assert [each["FunctionName"] for each in aws.api.list_functions()["Functions"]] == ["f"]


def test_a_refused_alias_leaves_nothing_behind(aws: Lambda) -> None:
    alias = {"FunctionName": "f", "Name": "new", "FunctionVersion": "1"}
    for weights in ({"10": 0.5}, {"1": 0.5}, {"1": 0.5, "2": 0.5}, {"2": 2}, {"$LATEST": 0.5}):
        with pytest.raises(ClientError):
            aws.api.create_alias(**alias, RoutingConfig={"AdditionalVersionWeights": weights})
        with pytest.raises(ClientError):
            aws.api.update_alias(**alias | {"Name": "live"}, RoutingConfig={"AdditionalVersionWeights": weights})
    assert [each["Name"] for each in aws.api.list_aliases(FunctionName="f")["Aliases"]] == ["live"]
    assert aws.refused("update_alias", FunctionName="f", Name="new")[:2] == ("ResourceNotFoundException", 404)
    assert aws.refused("invoke", FunctionName="f", Qualifier="new")[:2] == ("ResourceNotFoundException", 404)
    assert aws.api.create_alias(**alias)["AliasArn"] == f"{ARN}:new"


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        (
            "create_function",
            {"FunctionName": "a:b:c", "Role": ROLE, "Code": {}},
            f"Value 'a:b:c' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression "
            f"pattern: {NAME}([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
        ),
        (
            "invoke",
            {"FunctionName": "arn:aws:lambda:us-east-1:123400000000@function:f"},
            "Value 'arn:aws:lambda:us-east-1:123400000000@function:f' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {NAME}([a-zA-Z0-9-_\\.]+)"
            "(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
        ),
        (
            "get_function_url_config",
            {"FunctionName": "f", "Qualifier": "$LATEST"},
            "Value '$LATEST' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)",
        ),
        (
            "put_provisioned_concurrency_config",
            {"FunctionName": "f", "Qualifier": "1", "ProvisionedConcurrentExecutions": 0},
            "Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value "
            "greater than or equal to 1",
        ),
        (
            "list_functions",
            {"FunctionVersion": "invalid"},
            "Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: "
            "[ALL]",
        ),
        (
            "create_alias",
            {
                "FunctionName": "f", "Name": "new", "FunctionVersion": "1",
                "RoutingConfig": {"AdditionalVersionWeights": {"2": 2}},
            },
            "Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must "
            "satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater "
            "than or equal to 0.0, Member must not be null]",
        ),
    ],
)  # fmt: skip
def test_a_validation_exception_has_awss_text(
    aws: Lambda, operation: str, params: dict[str, Any], message: str
) -> None:
    assert aws.refused(operation, **params) == (
        "ValidationException", 400, f"1 validation error detected: {message}"
    )  # fmt: skip
