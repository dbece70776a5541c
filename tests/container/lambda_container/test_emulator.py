"""The Lambda image under the real Runtime Interface Emulator, with an endpoint on the host."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from PIL import Image

import docker
from deploy.images.builder import build
from localcloud.containers.engine import gateway_address
from tests.container.lambda_container.emulator import ROOT, Function, running
from tests.functional.lambda_container.servers import Received, Reply, Server, serving

pytestmark = pytest.mark.timeout(300)

LOGITS = [[round(-3.8 + place / 10, 2) for place in range(133)]]
PREDICTIONS = [{"label": "Carolina dog", "probability": 0.98, "top": [{"label": "Carolina dog", "probability": 0.98}]}]
MODEL = {"name": "dogs"}


def picture() -> bytes:
    """A real JPEG, drawn here."""
    stream = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((640, 480)).save(stream, "JPEG")
    return stream.getvalue()


PICTURE = picture()
ENCODED = {"image": base64.b64encode(PICTURE).decode()}


class Backend:
    """SageMaker's runtime, S3 and a web server in one. The endpoint answers each of `next_reply` once."""

    def __init__(self) -> None:
        self.next_reply: list[Reply] = []
        self.delay = 0.0

    def answer(self, request: Received) -> Reply:
        if request.path.startswith("/slow"):
            time.sleep(5)
        if request.method == "GET":
            exists = request.path in ("/dogs/a.jpg", "/dog.jpg", "/slow.jpg")
            return Reply(body=PICTURE) if exists else Reply(404, body=b"<Error><Code>NoSuchKey</Code></Error>")
        time.sleep(self.delay)
        if self.next_reply:
            return self.next_reply.pop()
        body = {"model": MODEL, "predictions": PREDICTIONS, "logits": LOGITS}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.fixture(scope="session")
def image() -> str:
    return build("lambda", repository=ROOT)


@pytest.fixture(scope="module")
def gateway() -> str:
    client = docker.from_env()
    try:
        address = gateway_address(client)
    finally:
        client.close()
    if address is None:
        raise RuntimeError("the engine's default bridge has no address on this host")
    return address


@pytest.fixture(scope="module")
def backend() -> Backend:
    return Backend()


@pytest.fixture(scope="module")
def server(backend: Backend, gateway: str) -> Iterator[Server]:
    with serving(backend.answer, host=gateway) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def function(image: str, gateway: str, server: Server) -> Iterator[Function]:
    environment = {
        "KENNEL_ENDPOINT_NAME": "dogs",
        "AWS_ENDPOINT_URL": f"http://{gateway}:{server.port}",
        "KENNEL_ALLOW_HTTP": "1",
        "KENNEL_MAX_BYTES": "1000000",
        "KENNEL_ALLOW_HOSTS": f"{gateway}:{server.port}",
    }
    with running(image, environment, timeout=3) as started:
        yield started


def error_of(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["statusCode"], json.loads(answer["body"])["error"]["code"]


def test_a_url_is_answered_in_the_form_that_existing_clients_parse(
    function: Function, gateway: str, server: Server
) -> None:
    answer = function.invoke({"url": f"http://{gateway}:{server.port}/dog.jpg"}).answer
    assert answer["statusCode"] == 200
    assert answer["headers"] == {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"}
    assert answer["type-result"] == "<class 'str'>"
    assert answer["COntent-Type-In"].startswith("LambdaContext([aws_request_id=")
    assert json.loads(answer["body"]) == LOGITS
    assert answer["predictions"] == PREDICTIONS


def test_the_endpoint_gets_the_picture_whole_and_signed(function: Function, server: Server) -> None:
    function.invoke(ENCODED)
    request = server.requests[-1]
    assert (request.method, request.path) == ("POST", "/endpoints/dogs/invocations")
    assert request.body == PICTURE
    assert request.headers["Content-Type"] == "image/jpeg"
    assert request.headers["X-Amz-Security-Token"] == "token"
    assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key/")


def test_a_picture_comes_from_s3(function: Function) -> None:
    assert function.invoke({"s3": {"bucket": "dogs", "key": "a.jpg"}}).answer["predictions"] == PREDICTIONS
    assert error_of(function.invoke({"s3": {"bucket": "dogs", "key": "b.jpg"}}).answer) == (424, "storage-refused")


def test_http_events_get_proxy_responses(function: Function, gateway: str, server: Server) -> None:
    url = f"http://{gateway}:{server.port}/dog.jpg"
    v2 = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    v1 = {"httpMethod": "POST", "requestContext": {}, "headers": {"Content-Type": "image/jpeg"}}
    for event in (
        {**v2, "queryStringParameters": {"url": url}},
        {**v1, "isBase64Encoded": True, "body": ENCODED["image"]},
    ):
        answer = function.invoke(event).answer
        assert answer["statusCode"] == 200
        assert answer["headers"]["Content-Type"] == "application/json"
        assert json.loads(answer["body"]) == {"model": MODEL, "predictions": PREDICTIONS}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"ulr": "x"}, (400, "bad-event")),
        ([], (400, "bad-event")),
        (None, (400, "bad-event")),
        ("text", (400, "bad-event")),
        ({"url": "https://user@example.com/"}, (400, "bad-url")),
        ({"url": "https://\ud800.example.com/"}, (400, "bad-url")),
        ({"\ud800": 1}, (400, "bad-event")),
        ({"image": "%%%"}, (400, "bad-event")),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, (403, "address-not-allowed")),
        ({"url": "https://localhost/"}, (403, "address-not-allowed")),
        ({"url": "https://0x7f.1/"}, (403, "address-not-allowed")),
        ({"url": "ftp://example.com/"}, (403, "scheme-not-allowed")),
        ({"url": "https://no-such-name.invalid/"}, (502, "fetch-failed")),
        ({"image": base64.b64encode(b"<html>").decode()}, (415, "unsupported-type")),
        ({"image": base64.b64encode(b"\xff\xd8\xff" + bytes(1_000_000)).decode()}, (413, "picture-too-large")),
    ],
)
def test_a_bad_event_is_answered_and_never_a_crash(
    function: Function, event: object, expected: tuple[int, str]
) -> None:
    assert error_of(function.invoke(event).answer) == expected
    assert function.invoke(ENCODED).answer["statusCode"] == 200


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(429, {"x-amzn-errortype": "ModelNotReadyException"}, b"{}"), (429, "endpoint-busy")),
        (Reply(503, {"Retry-After": "3"}, b"{}"), (503, "endpoint-unavailable")),
        (Reply(424, {}, b'{"OriginalStatusCode": 500, "OriginalMessage": "x"}'), (424, "model-error")),
        (Reply(200, {}, b"not json"), (502, "bad-answer")),
    ],
)
def test_the_endpoints_failures_are_typed(
    function: Function, backend: Backend, reply: Reply, expected: tuple[int, str]
) -> None:
    backend.next_reply.append(reply)
    assert error_of(function.invoke(ENCODED).answer) == expected


def test_a_slow_endpoint_is_answered_before_lambda_ends_the_function(function: Function, backend: Backend) -> None:
    backend.delay = 4.0
    try:
        result = function.invoke(ENCODED)
    finally:
        backend.delay = 0.0
    assert error_of(result.answer) == (504, "endpoint-timeout")
    assert result.seconds < 3
    assert function.invoke(ENCODED).answer["statusCode"] == 200


def test_a_slow_pictures_server_is_answered_in_time(function: Function, gateway: str, server: Server) -> None:
    result = function.invoke({"url": f"http://{gateway}:{server.port}/slow.jpg"})
    assert error_of(result.answer) == (504, "fetch-timeout")
    assert result.seconds < 3


def test_warm_calls_are_quick_and_share_one_connection(function: Function, server: Server) -> None:
    function.invoke(ENCODED)
    results = [function.invoke(ENCODED) for _ in range(10)]
    assert len({request.connection for request in server.requests[-10:]}) == 1
    assert sorted(result.seconds for result in results)[5] < 0.5


def test_every_call_leaves_one_line_in_the_log(function: Function) -> None:
    before = _lines(function.logs())
    function.invoke({"image": base64.b64encode(b"%PDF").decode()})
    for _ in range(50):  # the engine's log lags a little
        after = _lines(function.logs())
        if len(after) > len(before) and after[-1]["code"] == "unsupported-type":
            break
        time.sleep(0.1)
    assert (after[-1]["status"], after[-1]["code"]) == (415, "unsupported-type")


def test_an_endpoint_that_is_not_there_is_502(image: str) -> None:
    environment = {"KENNEL_ENDPOINT_NAME": "dogs", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with running(image, environment, timeout=3) as function:
        assert error_of(function.invoke(ENCODED).answer) == (502, "endpoint-unreachable")


def test_a_function_without_its_settings_says_which_one_is_missing(image: str) -> None:
    with running(image, {}, timeout=3) as function:
        answer = function.invoke(ENCODED).answer
        assert answer["errorType"] == "SettingsError"
        assert "KENNEL_ENDPOINT_NAME" in answer["errorMessage"]


def test_the_image_is_one_that_lambda_accepts(image: str) -> None:
    client = docker.from_env()
    try:
        attributes = client.images.get(image).attrs
    finally:
        client.close()
    assert attributes["Size"] < 150_000_000
    assert attributes["Config"]["Entrypoint"] == ["python3", "-m", "awslambdaric"]
    assert attributes["Config"]["Cmd"] == ["lambda_container.handler.handler"]
    assert attributes["Config"]["User"] not in ("", "root", "0", "0:0")


def _lines(logs: str) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in logs.splitlines() if line.startswith('{"status"')]
