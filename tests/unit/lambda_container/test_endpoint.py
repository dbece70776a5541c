"""The request to the endpoint, and how each of its errors is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambda_container.endpoint import invocation, read_inference, refusal
from lambda_container.errors import RequestError
from lambda_container.exchange import Response
from lambda_container.settings import read_settings

ENVIRONMENT = {"KENNEL_ENDPOINT_NAME": "Dogs-1", "AWS_REGION": "eu-central-1"}


def response(status: int, body: object, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps(body).encode(), True)


def model_error(original: int, message: object) -> Response:
    text = message if isinstance(message, str) else json.dumps(message)
    body = {
        "ErrorCode": "INTERNAL_FAILURE_FROM_MODEL",
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/dogs",
        "Message": f"Received client error ({original}) from primary with message",
        "OriginalMessage": text,
        "OriginalStatusCode": original,
    }
    return response(424, body, x_amzn_errortype="ModelError:http://internal.amazon.com/")


def test_one_call_requests_predictions_and_logits() -> None:
    request = invocation(b"\xff\xd8\xff", "image/jpeg", read_settings(ENVIRONMENT))
    assert request.path == "/endpoints/Dogs-1/invocations"
    assert request.headers == {
        "Host": "runtime.sagemaker.eu-central-1.amazonaws.com",
        "Content-Type": "image/jpeg",
        "Content-Length": "3",
        "Accept": "application/json;form=full",
    }


def test_the_answer_is_read_whole() -> None:
    body = {"model": {"name": "m"}, "predictions": [{"label": "a"}], "logits": [[1.5, -2]]}
    inference = read_inference(json.dumps(body).encode())
    assert inference.model == {"name": "m"}
    assert inference.predictions == [{"label": "a"}]
    assert inference.logits == [[1.5, -2]]


@pytest.mark.parametrize(
    "body", [b"", b"[[1, 2]]", b'"x"', b"{}", b'{"predictions": []}', b'{"predictions": 1, "logits": [[1]]}', b"\xff"]
)
def test_an_answer_of_another_shape_is_502(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_inference(body)
    assert (caught.value.status, caught.value.code) == (502, "bad-answer")


@pytest.mark.parametrize(
    ("original", "status", "code"),
    [
        (400, 422, "truncated"),
        (422, 422, "truncated"),
        (413, 413, "picture-too-large"),
        (415, 415, "unsupported-type"),
        (429, 429, "endpoint-busy"),
        (503, 503, "endpoint-unavailable"),
        (404, 424, "model-error"),
        (500, 424, "model-error"),
        (504, 424, "model-error"),
    ],
)
def test_the_models_own_error_is_passed_on_with_its_status(original: int, status: int, code: str) -> None:
    error = refusal(model_error(original, {"error": {"code": "truncated", "message": "the picture ends early"}}))
    assert (error.status, error.code, error.original_status) == (status, code, original)
    assert error.message == "the picture ends early"
    assert (error.retry_after is not None) == (status in (429, 503))


@pytest.mark.parametrize("message", ["<html>Internal error</html>", "", "[]", '{"error": "text"}', "x" * 9000])
def test_the_error_of_a_model_without_our_error_format_is_424(message: str) -> None:
    error = refusal(model_error(400, message))
    assert (error.status, error.original_status) == (424, 400)
    assert error.message
    assert len(error.message) <= 1000


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "ValidationError", (424, "endpoint-refused", 400)),
        (403, "AccessDeniedException", (424, "endpoint-refused", 403)),
        (400, "ThrottlingException", (429, "endpoint-busy", 429)),
        (429, "ModelNotReadyException", (429, "endpoint-busy", 429)),
        (503, "ServiceUnavailable", (503, "endpoint-unavailable", 503)),
        (500, "InternalFailure", (502, "endpoint-failed", 500)),
        (413, "RequestEntityTooLarge", (413, "picture-too-large", 413)),
        (530, "InternalDependencyException", (502, "endpoint-failed", 530)),
    ],
)
def test_sagemakers_own_errors_are_mapped(status: int, kind: str, expected: tuple[int, str, int]) -> None:
    for answer in (
        response(status, {"message": "why"}, x_amzn_errortype=f"{kind}:http://internal/"),
        response(status, {"__type": f"com.amazonaws#{kind}", "Message": "why"}),
    ):
        error = refusal(answer)
        assert (error.status, error.code, error.original_status) == expected
        assert "why" in error.message


def test_the_endpoints_own_retry_after_is_passed_on() -> None:
    assert refusal(response(503, {}, retry_after="7")).retry_after == "7"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe"])
def test_an_error_that_is_not_json_is_still_typed(body: bytes) -> None:
    error: Any = refusal(Response(502, {}, body, False))
    assert (error.status, error.code, error.original_status) == (502, "endpoint-failed", 502)
