"""An event's whole way through the function, over a network in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from lambda_container.handler import Application
from lambda_container.settings import SettingsError
from tests.unit.lambda_container.fakes import JPEG, FakeClock, FakeNetwork, http_reply
from tests.unit.lambda_container.test_event import v1, v2

ENVIRONMENT = {
    "KENNEL_ENDPOINT_NAME": "dogs",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}
NAMES = {
    "runtime.sagemaker.us-east-1.amazonaws.com": [["52.1.2.3"]],
    "dogs.s3.us-east-1.amazonaws.com": [["52.4.5.6"]],
    "a.test": [["93.184.216.34"]],
    "inside.test": [["10.0.0.1"]],
}
LOGITS = [[-3.8, 12.25, 0.5]]
PREDICTIONS = [{"label": "Carolina dog", "probability": 0.98, "top": []}]
ANSWER = http_reply(json.dumps({"model": {"name": "m"}, "predictions": PREDICTIONS, "logits": LOGITS}).encode())
IMAGE = {"image": base64.b64encode(JPEG).decode()}


class Context:
    def __init__(self, milliseconds: int = 30_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds

    def __repr__(self) -> str:
        return "LambdaContext([aws_request_id=1])"


class Fakes:
    def __init__(self, replies: Sequence[bytes | OSError] = (), *, slow: float = 0, **environment: str) -> None:
        self.clock = FakeClock()
        self.log: list[str] = []
        self.network = FakeNetwork(NAMES, replies, clock=self.clock, slow=slow)
        self.application = Application(
            {**ENVIRONMENT, **environment},
            network=self.network,
            clock=self.clock,
            now=lambda: datetime(2026, 2, 3, tzinfo=UTC),
            log=self.log.append,
        )

    def answer(self, event: object, milliseconds: int = 30_000) -> dict[str, Any]:
        answer = self.application.answer(event, Context(milliseconds))
        assert len(json.dumps(answer)) < 6_000_000
        return answer


def error_of(answer: dict[str, Any]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer["body"])["error"]
    assert answer["headers"]["Content-Type"] == "application/json"
    return error


def test_a_url_is_answered_in_the_form_that_existing_clients_parse_plus_predictions() -> None:
    fakes = Fakes([http_reply(), ANSWER])
    answer = fakes.answer({"url": "https://a.test/Carolina-Dog-standing-outdoors.jpg"})
    assert answer == {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": "<class 'str'>",
        "COntent-Type-In": "LambdaContext([aws_request_id=1])",
        "body": "[[-3.8, 12.25, 0.5]]",
        "predictions": PREDICTIONS,
        "model": {"name": "m"},
    }


def test_the_endpoint_gets_the_picture_signed_in_one_call() -> None:
    fakes = Fakes([ANSWER])
    fakes.answer(IMAGE)
    assert fakes.network.connected == [("52.1.2.3", 443, "runtime.sagemaker.us-east-1.amazonaws.com")]
    sent = fakes.network.streams[0].sent
    assert sent.startswith(b"POST /endpoints/dogs/invocations HTTP/1.1\r\n")
    assert b"\r\nContent-Type: image/jpeg\r\n" in sent
    assert b"\r\nAccept: application/json;form=full\r\n" in sent
    assert b"\r\nX-Amz-Security-Token: token\r\n" in sent
    assert b"Credential=key/20260203/us-east-1/sagemaker/aws4_request, SignedHeaders=accept;content-length;" in sent
    assert sent.endswith(b"\r\n\r\n" + JPEG)
    assert b"secret" not in sent


def test_a_picture_in_s3_is_read_with_the_functions_own_permissions() -> None:
    fakes = Fakes([http_reply(), ANSWER])
    answer = fakes.answer({"s3": {"bucket": "dogs", "key": "a b.jpg"}})
    assert answer["statusCode"] == 200
    sent = fakes.network.streams[0].sent
    assert sent.startswith(b"GET /a%20b.jpg HTTP/1.1\r\nHost: dogs.s3.us-east-1.amazonaws.com\r\n")
    assert b"/us-east-1/s3/aws4_request" in sent
    assert fakes.network.streams[0].hung_up


@pytest.mark.parametrize("make", [v1, v2])
def test_an_http_event_is_answered_with_a_proxy_response(make: Any) -> None:
    body = base64.b64encode(JPEG).decode()
    event = make(headers={"content-type": "image/jpeg"}, body=body, isBase64Encoded=True)
    answer = Fakes([ANSWER]).answer(event)
    assert answer.keys() == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["statusCode"] == 200
    assert answer["headers"] == {"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"}
    assert json.loads(answer["body"]) == {"model": {"name": "m"}, "predictions": PREDICTIONS}


def test_a_refusal_over_http_has_no_key_that_an_api_does_not_know() -> None:
    answer = Fakes().answer(v1("GET", queryStringParameters={"url": "https://inside.test/"}))
    assert answer.keys() == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert (answer["statusCode"], error_of(answer)["code"]) == (403, "address-not-allowed")


def test_a_refusal_of_a_direct_event_can_be_read_without_parsing() -> None:
    answer = Fakes().answer({"ulr": "x"})
    assert answer["statusCode"] == 400
    assert answer["error"] == error_of(answer)
    assert answer["error"]["code"] == "bad-event"


def test_a_browser_may_post_from_anywhere() -> None:
    answer = Fakes().answer(v2("OPTIONS"))
    assert answer["statusCode"] == 204
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer["headers"]["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("picture", "status"),
    [(b"", 422), (b"<html></html>", 415), (b"%PDF-1.7", 415), (JPEG + b"x" * 2000, 413)],
)
def test_bytes_that_cannot_be_a_picture_never_reach_the_endpoint(picture: bytes, status: int) -> None:
    fakes = Fakes([http_reply(picture)], KENNEL_MAX_BYTES="1000")
    event = {"url": "https://a.test/"}
    assert fakes.answer(event)["statusCode"] == status
    assert len(fakes.network.connected) == 1


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", b"image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"image/webp"),
        (b"GIF89a...", b"application/x-image"),
        (b"II*\x00...", b"application/x-image"),
    ],
)
def test_the_content_type_comes_from_the_pictures_bytes(picture: bytes, kind: bytes) -> None:
    fakes = Fakes([ANSWER])
    assert fakes.answer({"image": base64.b64encode(picture).decode()})["statusCode"] == 200
    assert b"\r\nContent-Type: " + kind + b"\r\n" in fakes.network.streams[0].sent


def test_the_connection_to_the_endpoint_is_kept_for_the_next_call() -> None:
    fakes = Fakes([ANSWER])
    fakes.answer(IMAGE)
    assert not fakes.network.streams[0].hung_up
    assert len(fakes.network.connected) == 1


def test_a_slow_endpoint_is_answered_504_before_lambda_ends_the_function() -> None:
    fakes = Fakes([ANSWER], slow=2.6)
    answer = fakes.answer(IMAGE, milliseconds=3_000)
    assert (answer["statusCode"], error_of(answer)["code"]) == (504, "endpoint-timeout")


def test_a_slow_pictures_server_leaves_time_for_the_endpoint() -> None:
    fakes = Fakes([http_reply()], slow=10.1)
    answer = fakes.answer({"url": "https://a.test/"}, milliseconds=60_000)
    assert (answer["statusCode"], error_of(answer)["code"]) == (504, "fetch-timeout")


def test_an_event_that_comes_with_no_time_left_is_answered_504() -> None:
    assert Fakes([ANSWER]).answer(IMAGE, milliseconds=100)["statusCode"] == 504


def test_an_endpoint_that_cannot_be_reached_is_502() -> None:
    answer = Fakes([ConnectionRefusedError("refused")]).answer(IMAGE)
    assert (answer["statusCode"], error_of(answer)["code"]) == (502, "endpoint-unreachable")


def test_a_busy_endpoint_says_when_to_try_again() -> None:
    reply = http_reply(b"{}", status="429 Too Many", headers={"x-amzn-errortype": "ModelNotReadyException"})
    for event in (IMAGE, v2(headers={"content-type": "image/jpeg"}, body=IMAGE["image"], isBase64Encoded=True)):
        answer = Fakes([reply]).answer(event)
        assert answer["statusCode"] == 429
        assert answer["headers"]["Retry-After"] == "1"


def test_a_model_error_carries_the_original_status() -> None:
    body = json.dumps({"OriginalStatusCode": 500, "OriginalMessage": "oops"}).encode()
    reply = http_reply(body, status="424 Failed", headers={"x-amzn-errortype": "ModelError"})
    error = error_of(Fakes([reply]).answer(IMAGE))
    assert error == {"code": "model-error", "message": "oops", "original_status": 500}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>", (424, 404, "NoSuchKey")),
        ("403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>", (424, 403, "AccessDenied")),
        ("500 Oops", b"", (502, 500, "status 500")),
        ("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>", (503, 503, "SlowDown")),
    ],
)
def test_a_refusal_of_s3_is_answered_with_its_status(status: str, body: bytes, expected: tuple[int, int, str]) -> None:
    fakes = Fakes([http_reply(body, status=status)])
    answer = fakes.answer({"s3": {"bucket": "dogs", "key": "k"}})
    error = error_of(answer)
    assert (answer["statusCode"], error["original_status"]) == expected[:2]
    assert expected[2] in error["message"]


@pytest.mark.parametrize("bucket", ["evil.test/", "a@b", "A", "..", "x#y", "a..b", "a" * 64, ""])
def test_a_bucket_name_cannot_become_another_host(bucket: str) -> None:
    fakes = Fakes()
    assert fakes.answer({"s3": {"bucket": bucket, "key": "k"}})["statusCode"] == 400
    assert fakes.network.looked_up == []


@pytest.mark.parametrize("key", ["", "k" * 1025, "\ud800" * 600])
def test_a_key_that_s3_cannot_hold_is_400(key: str) -> None:
    assert Fakes().answer({"s3": {"bucket": "dogs", "key": key}})["statusCode"] == 400


def test_an_endpoints_endless_answer_is_502() -> None:
    answer = Fakes([http_reply(b"", length=50_000_000)]).answer(IMAGE)
    assert (answer["statusCode"], error_of(answer)["code"]) == (502, "bad-answer")


def test_every_call_leaves_one_line_without_addresses_or_secrets() -> None:
    fakes = Fakes([http_reply(), ANSWER])
    fakes.answer({"url": "https://a.test/?signature=hush"})
    assert [json.loads(line) for line in fakes.log] == [{"status": 200, "code": "ok", "milliseconds": 0}]


def test_a_wrong_environment_stops_the_function_at_its_first_event() -> None:
    with pytest.raises(SettingsError, match="KENNEL_ENDPOINT_NAME"):
        Fakes(KENNEL_ENDPOINT_NAME="")
