"""The probe of a new version: its picture, and what counts as an answer."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from deploy.function import health_check
from lambda_container.picture import media_type


def answer(payload: bytes, **more: Any) -> dict[str, Any]:
    return {"Payload": io.BytesIO(payload), **more}


def test_the_event_carries_a_picture_that_the_function_takes() -> None:
    picture = base64.b64decode(json.loads(health_check.event())["image"])
    assert media_type(picture) == "image/png"
    assert picture == health_check.picture()
    assert len(picture) < 1000


@pytest.mark.parametrize(
    ("payload", "more", "told"),
    [
        (b'{"statusCode": 200, "predictions": []}', {}, ""),
        (b'{"errorType": "KeyError", "errorMessage": "x"}', {"FunctionError": "Unhandled"}, "it failed: KeyError: x"),
        (b'{"statusCode": 424, "error": {"code": "c", "message": "m"}}', {}, "it answered 424: c: m"),
        (b'{"statusCode": 500, "body": "?"}', {}, 'it answered 500: {"statusCode": 500, "body": "?"}'),
        (b"<html>", {}, "it answered nothing that can be read: <html>"),
        (b"[1]", {}, "it answered nothing that can be read: [1]"),
    ],
)
def test_what_is_no_answer_is_told_with_its_reason(payload: bytes, more: dict[str, Any], told: str) -> None:
    assert health_check.fault(answer(payload, **more)) == told
