"""The health check of a new version: its picture, and which answers pass."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from deploy.function import health_check
from deploy.planning.answer import is_busy, mismatch, read
from lambda_container.picture import media_type


def answer(payload: bytes, **more: Any) -> dict[str, Any]:
    return {"Payload": io.BytesIO(payload), **more}


def test_the_event_carries_a_picture_that_the_function_takes() -> None:
    picture = base64.b64decode(json.loads(health_check.event())["image"])
    assert media_type(picture) == "image/png"
    assert picture == health_check.picture()
    assert len(picture) < 1000


@pytest.mark.parametrize(
    ("payload", "more", "problem"),
    [
        (b'{"statusCode": 200, "predictions": []}', {}, ""),
        (
            b'{"errorType": "KeyError", "errorMessage": "x"}',
            {"FunctionError": "Unhandled"},
            "FunctionError is Unhandled: KeyError: x",
        ),
        (
            b'{"statusCode": 424, "error": {"code": "c", "message": "m"}}',
            {},
            "Payload.statusCode is 424, not 200: c: m",
        ),
        (
            b'{"statusCode": 500, "body": "?"}',
            {},
            'Payload.statusCode is 500, not 200: {"statusCode": 500, "body": "?"}',
        ),
        (b"<html>", {}, "Payload.statusCode is missing, not 200: <html>"),
        (b"[1]", {}, "Payload.statusCode is missing, not 200: [1]"),
        (b"", {}, "Payload.statusCode is missing, not 200: no reason given"),
    ],
)
def test_an_answer_other_than_200_fails_the_check_with_its_reason(
    payload: bytes, more: dict[str, Any], problem: str
) -> None:
    check = health_check.answers("f", "7")
    message = mismatch(check, read(check, answer(payload, **more, ExecutedVersion="7")))
    fix = "the alias stays where it is; ./inv logs f shows what the version wrote"
    assert message == (f"version 7 is not healthy: {problem}\n{fix}" if problem else "")


@pytest.mark.parametrize(("status", "busy"), [(200, False), (424, False), (429, True), (502, False), (503, True)])
def test_a_function_whose_endpoint_is_throttled_is_only_busy(status: int, busy: bool) -> None:
    check = health_check.answers("f", "7")
    assert is_busy(check, read(check, answer(json.dumps({"statusCode": status}).encode()))) is busy
