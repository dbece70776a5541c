"""Requests to function URLs become events of version 2.0, and results become responses."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localcloud.authorization.access import OpenAccess
from localcloud.authorization.needs import Need
from localcloud.awslambda.urls import FunctionUrls, answer, event
from localcloud.gateway.service import Request
from tests.unit.localcloud.awslambda.fakes import Fakes


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
def test_a_result_with_a_status_code_is_the_response_and_any_other_is_a_json_body(
    result: Any, status: int, body: bytes
) -> None:
    made = answer(json.dumps(result).encode())
    assert (made.status, made.body) == (status, body)


def test_a_public_url_needs_both_permissions() -> None:
    fakes = Fakes()
    fakes.active()
    urls = FunctionUrls(invoker=fakes.invoker)
    assert urls.serve(request()).status == 403
    fakes.do("CreateFunctionUrlConfig", AuthType="NONE")
    fakes.do("AddPermission", StatementId="1", Action="lambda:InvokeFunctionUrl", Principal="*")
    assert urls.serve(request()).status == 403
    fakes.do(
        "AddPermission", StatementId="2", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    served = urls.serve(request())
    assert served.status == 200
    assert isinstance(served.body, bytes)
    assert json.loads(served.body)["event"]["rawPath"] == "/classify"
    assert urls.serve(request(path="g/")).status == 404
    fakes.do("PutFunctionConcurrency", ReservedConcurrentExecutions=0)
    assert urls.serve(request()).status == 429


def signed(service: str = "lambda", *, at: datetime | None = None) -> Request:
    """A request to the URL, signed by botocore now. `at` replaces the date of the signature."""
    sent = AWSRequest(method="GET", url="http://127.0.0.1:4566/_localcloud/function-url/f/")
    signer = SigV4Auth(Credentials("kennel-local", "kennel-local"), service, "us-east-1")
    signer.add_auth(sent)
    headers = {name.lower(): str(value) for name, value in sent.headers.items()}
    if at is not None:
        headers["x-amz-date"] = f"{at:%Y%m%dT%H%M%SZ}"
    return request(headers={**headers, "host": "127.0.0.1:4566"})


def iam_fakes() -> tuple[Fakes, FunctionUrls]:
    """A function with a URL of AuthType AWS_IAM, and both permissions for the account, on the real clock."""
    fakes = Fakes()
    fakes.cloud = replace(fakes.cloud, now=lambda: datetime.now(UTC))
    fakes.functions.cloud = fakes.cloud
    fakes.active()
    fakes.do("CreateFunctionUrlConfig", AuthType="AWS_IAM")
    account = {"Principal": "123456789012"}
    fakes.do(
        "AddPermission", StatementId="1", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="AWS_IAM", **account
    )
    fakes.do("AddPermission", StatementId="2", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **account)
    return fakes, FunctionUrls(invoker=fakes.invoker)


def test_an_iam_url_accepts_only_fresh_requests_that_are_signed_for_lambda() -> None:
    _, urls = iam_fakes()
    assert urls.serve(signed()).status == 200
    assert urls.serve(request()).status == 403
    assert urls.serve(request(headers={"authorization": "AWS4-HMAC-SHA256 Credential=x"})).status == 403
    assert urls.serve(signed("s3")).status == 403
    assert urls.serve(signed(at=datetime.now(UTC) - timedelta(minutes=6))).status == 403


@dataclass
class Refuses(OpenAccess):
    """An account that enforces IAM and refuses with these words, if any."""

    words: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    is_enforced = True

    def refusal_of_key(self, key: str, needs: Sequence[Need]) -> str:
        self.asked += [(key, need.action) for need in needs]
        return self.words


def test_where_iam_is_enforced_an_iam_url_is_judged_by_its_callers_policies() -> None:
    fakes, urls = iam_fakes()
    refuses = Refuses("User: ann is not authorized to perform: lambda:InvokeFunctionUrl")
    fakes.functions.cloud = replace(fakes.functions.cloud, access=refuses)
    answer = urls.serve(signed())
    assert (answer.status, json.loads(cast("bytes", answer.body))) == (403, {"Message": f"Forbidden. {refuses.words}"})
    key = refuses.asked[0][0]
    assert refuses.asked == [(key, "lambda:InvokeFunctionUrl"), (key, "lambda:InvokeFunction")]
    assert key
    fakes.functions.cloud = replace(fakes.functions.cloud, access=Refuses(""))
    assert urls.serve(signed()).status == 200


def test_a_presigned_iam_url_works_until_it_expires() -> None:
    _, urls = iam_fakes()
    sent = AWSRequest(method="GET", url="http://127.0.0.1:4566/_localcloud/function-url/f/")
    SigV4QueryAuth(Credentials("a", "b"), "lambda", "us-east-1", expires=60).add_auth(sent)
    query = str(sent.url).partition("?")[2]
    assert urls.serve(request(query=query, headers={})).status == 200
    late = re.sub(r"X-Amz-Date=[^&]+", "X-Amz-Date=20200101T000000Z", query)
    assert urls.serve(request(query=late, headers={})).status == 403


@pytest.mark.parametrize("statement", ["1", "2"])
def test_an_iam_url_needs_both_permissions(statement: str) -> None:
    fakes, urls = iam_fakes()
    fakes.do("RemovePermission", StatementId=statement)
    assert urls.serve(signed()).status == 403


def test_permissions_for_iam_urls_do_not_open_a_public_url() -> None:
    fakes, urls = iam_fakes()
    fakes.do("UpdateFunctionUrlConfig", AuthType="NONE")
    assert urls.serve(signed()).status == 403


def test_a_function_that_fails_is_a_502() -> None:
    fakes, urls = iam_fakes()
    urls.serve(signed())
    for container in fakes.engine.served.values():
        container.running = False
    assert urls.serve(signed()).status == 502
