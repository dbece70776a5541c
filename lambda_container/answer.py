"""Builds the function's answers: a plain object for direct invocations, a proxy response for HTTP events. Pure."""

from __future__ import annotations

import json
from typing import Any

from lambda_container.endpoint import Inference
from lambda_container.errors import RequestError
from lambda_container.event import METHODS

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
Answer = dict[str, Any]


def direct_answer(inference: Inference, context: object) -> Answer:
    """The answer to a direct invocation. Existing clients parse its `body`, a string, and rely on the odd keys."""
    body = json.dumps(inference.logits)
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", **ANY_ORIGIN},
        "type-result": str(type(body)),
        "COntent-Type-In": str(context),
        "body": body,
        "predictions": inference.predictions,
        "model": inference.model,
    }


def http_answer(inference: Inference) -> Answer:
    return _proxy(200, {"model": inference.model, "predictions": inference.predictions})


def error_answer(error: RequestError, *, http: bool) -> Answer:
    """The answer to a failed request. A direct caller also gets the error as an object, so that it need not parse the
    body; HTTP APIs reject unknown keys."""
    fields = error.fields()
    answer = _proxy(error.status, {"error": fields})
    if error.retry_after is not None:
        answer["headers"]["Retry-After"] = error.retry_after
    if error.status == 405:
        answer["headers"]["Allow"] = METHODS
    return answer if http else {**answer, "error": fields}


def preflight_answer() -> Answer:
    allowed = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": "Content-Type"}
    return {"statusCode": 204, "headers": {**ANY_ORIGIN, **allowed}, "body": "", "isBase64Encoded": False}


def _proxy(status: int, body: object) -> Answer:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **ANY_ORIGIN},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
