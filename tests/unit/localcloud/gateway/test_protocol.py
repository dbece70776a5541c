"""localcloud reads what botocore's serializers write, and botocore's parsers read what localcloud writes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import HeadersDict

from localcloud.errors import ApiError
from localcloud.gateway import protocol
from localcloud.gateway.protocol import Call, Response

SCOPE = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def sent(service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The HTTP request that botocore would send, in the form that `recognise` and `parse` take."""
    model = protocol.model(service)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=False)
    request = serializer.serialize_to_request(dict(params), model.operation_model(operation))
    body = request["body"] or b""
    parts = urlsplit(request["url_path"])
    query = "&".join(filter(None, [parts.query, urlencode(request["query_string"] or {}, doseq=True)]))
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    headers["authorization"] = SCOPE.format(model.metadata.get("signingName") or service)
    return {
        "method": request["method"], "path": parts.path, "query": query, "headers": headers,
        "body": body.encode() if isinstance(body, str) else body,
    }  # fmt: skip


def read_request(http: Mapping[str, Any]) -> tuple[Call, dict[str, Any]]:
    call = protocol.recognise(**{key: http[key] for key in ("method", "path", "query", "headers")})
    assert call is not None
    return call, protocol.parse(call, query=http["query"], headers=http["headers"], body=http["body"])


def received(service: str, operation: str, response: Response) -> dict[str, Any]:
    """botocore's reading of a response."""
    model = protocol.model(service)
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    assert isinstance(response.body, bytes)
    raw = {"headers": HeadersDict(response.headers), "status_code": response.status, "body": response.body}
    shape: Any = model.operation_model(operation).output_shape
    parsed: dict[str, Any] = parser.parse(raw, shape)
    return parsed


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("sagemaker", "StopTrainingJob", {"TrainingJobName": "a"}),
        ("sagemaker", "ListTrainingJobs", {"CreationTimeAfter": datetime(2026, 1, 2, tzinfo=UTC), "MaxResults": 3}),
        ("lambda", "GetFunction", {"FunctionName": "arn:aws:lambda:us-east-1:1:function:f", "Qualifier": "1"}),
        ("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event", "Payload": b'{"a": 1}'}),
        ("lambda", "ListProvisionedConcurrencyConfigs", {"FunctionName": "f"}),
        ("lambda", "GetProvisionedConcurrencyConfig", {"FunctionName": "f", "Qualifier": "live"}),
        ("lambda", "CreateFunction", {"FunctionName": "f", "Role": "r", "Code": {"ZipFile": b"\x00\xff"}}),
        ("lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 2}),
        ("lambda", "ListFunctions", {"MaxItems": 5}),
        ("lambda", "UntagResource", {"Resource": "arn:aws:lambda:us-east-1:1:function:f", "TagKeys": ["a", "b"]}),
        (
            "sagemaker-runtime",
            "InvokeEndpoint",
            {"EndpointName": "e", "Body": b"\xff\xd8", "ContentType": "image/jpeg"},
        ),
        ("application-autoscaling", "DescribeScalableTargets", {"ServiceNamespace": "sagemaker"}),
    ],
)
def test_a_request_that_botocore_sends_is_read_back_unchanged(
    service: str, operation: str, params: dict[str, Any]
) -> None:
    call, read = read_request(sent(service, operation, params))
    assert (call.service, call.operation, call.region) == (service, operation, "us-east-1")
    assert read == params


def test_invoke_and_invoke_async_paths_are_told_apart() -> None:
    call, _ = read_request(sent("lambda", "InvokeAsync", {"FunctionName": "f", "InvokeArgs": b"{}"}))
    assert call.operation == "InvokeAsync"


@pytest.mark.parametrize("service", ["s3", "sts", "iam"])
def test_requests_of_other_services_are_not_recognised(service: str) -> None:
    headers = {"authorization": SCOPE.format(service)}
    assert protocol.recognise(method="POST", path="/endpoints/e/invocations", query="", headers=headers) is None


def test_an_unsigned_request_is_not_recognised() -> None:
    assert protocol.recognise(method="POST", path="/endpoints/e/invocations", query="", headers={}) is None


def test_a_presigned_query_is_recognised() -> None:
    query = urlencode({"X-Amz-Credential": "AKID/20260101/eu-west-1/lambda/aws4_request"})
    call = protocol.recognise(method="GET", path="/2015-03-31/functions/", query=query, headers={})
    assert call is not None
    assert (call.operation, call.region) == ("ListFunctions", "eu-west-1")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_not_a_json_object_is_a_serialization_error(body: bytes) -> None:
    call = Call(service="sagemaker", operation="StopTrainingJob", region="us-east-1", labels={})
    with pytest.raises(ApiError) as caught:
        protocol.parse(call, query="", headers={}, body=body)
    assert caught.value.code == "SerializationException"


def test_results_reach_botocore_with_their_types() -> None:
    when = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    result = {"TrainingJobName": "j", "CreationTime": when, "TrainingTimeInSeconds": 4, "FailureReason": None}
    parsed = received(
        "sagemaker", "DescribeTrainingJob", protocol.serialize("sagemaker", "DescribeTrainingJob", result)
    )
    assert parsed["CreationTime"] == when
    assert parsed["TrainingTimeInSeconds"] == 4
    assert "FailureReason" not in parsed
    assert parsed["ResponseMetadata"]["RequestId"]


def test_a_payload_status_and_headers_travel_where_the_model_says() -> None:
    result = {"StatusCode": 202, "FunctionError": "Unhandled", "Payload": b"{}", "ExecutedVersion": "7"}
    answer = protocol.serialize("lambda", "Invoke", result)
    assert (answer.status, answer.body) == (202, b"{}")
    assert answer.headers["X-Amz-Function-Error"] == "Unhandled"
    assert answer.headers["X-Amz-Executed-Version"] == "7"


def test_a_member_that_the_model_does_not_have_is_reported_as_a_bug() -> None:
    with pytest.raises(KeyError, match="has no member Colour"):
        protocol.serialize("sagemaker", "DescribeTrainingJob", {"Colour": "red"})


@pytest.mark.parametrize(
    ("service", "operation", "error", "status"),
    [
        ("sagemaker", "CreateTrainingJob", ApiError("ResourceInUse", "taken"), 400),
        ("sagemaker", "CreateTrainingJob", ApiError("ValidationException", "bad"), 400),
        ("lambda", "Invoke", ApiError("TooManyRequestsException", "slow", Reason="CallerRateLimitExceeded"), 429),
        ("lambda", "GetFunction", ApiError("ResourceNotFoundException", "none"), 404),
        ("sagemaker-runtime", "InvokeEndpoint", ApiError("ModelError", "broken", OriginalStatusCode=503), 424),
        ("sagemaker-runtime", "InvokeEndpoint", ApiError("ValidationError", "no such endpoint"), 400),
    ],
)  # fmt: skip
def test_errors_reach_botocore_with_code_message_and_status(
    service: str, operation: str, error: ApiError, status: int
) -> None:
    answer = protocol.serialize_error(service, error)
    parsed = received(service, operation, answer)
    assert answer.status == status
    assert parsed["Error"] == {"Code": error.code, "Message": error.message} | (
        {"Type": parsed["Error"]["Type"]} if "Type" in parsed["Error"] else {}
    )


def test_a_model_error_carries_its_original_status() -> None:
    answer = protocol.serialize_error("sagemaker-runtime", ApiError("ModelError", "m", OriginalStatusCode=503))
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["OriginalStatusCode"] == 503
