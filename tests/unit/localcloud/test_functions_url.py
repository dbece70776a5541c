"""Requests to function URLs become events of version 2.0, results become answers."""

import base64
import json
from typing import Any

import pytest

from localcloud.function_url import FunctionUrls, answer, event
from localcloud.service import Request
from tests.unit.localcloud.function_world import World


def request(**changes: Any) -> Request:
    given: dict[str, Any] = {
        "method": "POST", "path": "f/classify", "query": "top=5&tag=a&tag=b", "body": b"", "source": "127.0.0.1",
        "headers": {"content-type": "application/json", "user-agent": "me", "cookie": "a=1; b=2"},
    }  # fmt: skip
    return Request(**(given | changes))


def test_an_event_carries_path_query_headers_and_cookies() -> None:
    made = event(request(body=b'{"url": "x"}'), path="/classify", now=1.5)
    assert made["version"] == "2.0"
    assert made["rawPath"] == "/classify"
    assert made["queryStringParameters"] == {"top": "5", "tag": "a,b"}
    assert made["cookies"] == ["a=1", "b=2"]
    assert made["headers"] == {"content-type": "application/json", "user-agent": "me"}
    assert made["requestContext"]["http"]["method"] == "POST"
    assert made["requestContext"]["timeEpoch"] == 1500
    assert (made["body"], made["isBase64Encoded"]) == ('{"url": "x"}', False)


def test_a_picture_arrives_base64() -> None:
    made = event(request(body=b"\xff\xd8\xff", headers={"content-type": "image/jpeg"}), path="/", now=0)
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == b"\xff\xd8\xff"


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"statusCode": 415, "headers": {"content-type": "text/plain"}, "body": "no"}, 415, b"no"),
        ({"statusCode": 200, "body": "AAE=", "isBase64Encoded": True}, 200, b"\x00\x01"),
        ({"plain": 1}, 200, b'{"plain": 1}'),
        ("text", 200, b"text"),
    ],
)
def test_a_result_with_a_status_code_says_it_all_and_anything_else_is_json(
    result: Any, status: int, body: bytes
) -> None:
    made = answer(json.dumps(result).encode())
    assert (made.status, made.body) == (status, body)


def test_a_public_url_needs_both_permissions() -> None:
    world = World()
    world.active()
    urls = FunctionUrls(invoker=world.invoker)
    assert urls.serve(request()).status == 403
    world.do("CreateFunctionUrlConfig", AuthType="NONE")
    world.do("AddPermission", StatementId="1", Action="lambda:InvokeFunctionUrl", Principal="*")
    assert urls.serve(request()).status == 403
    world.do(
        "AddPermission", StatementId="2", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    served = urls.serve(request())
    assert served.status == 200
    assert isinstance(served.body, bytes)
    assert json.loads(served.body)["event"]["rawPath"] == "/classify"
    assert urls.serve(request(path="g/")).status == 404
    world.do("PutFunctionConcurrency", ReservedConcurrentExecutions=0)
    assert urls.serve(request()).status == 429


def test_an_iam_url_takes_signed_requests_only() -> None:
    world = World()
    world.active()
    world.do("CreateFunctionUrlConfig", AuthType="AWS_IAM")
    urls = FunctionUrls(invoker=world.invoker)
    assert urls.serve(request()).status == 403
    assert urls.serve(request(headers={"authorization": "AWS4-HMAC-SHA256 Credential=x"})).status == 200


def test_a_function_that_fails_is_a_502() -> None:
    world = World()
    world.active()
    world.do("CreateFunctionUrlConfig", AuthType="AWS_IAM")
    urls = FunctionUrls(invoker=world.invoker)
    world.engine.served.clear()
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    urls.serve(request(headers=signed))
    for container in world.engine.served.values():
        container.running = False
    assert urls.serve(request(headers=signed)).status == 502
