"""Invokes the SageMaker endpoint and reads its answer (rules 30–32)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lambda_container.deadline import Deadline
from lambda_container.errors import RequestError
from lambda_container.exchange import Request, Response, TooLargeError
from lambda_container.service import Service
from lambda_container.settings import Settings
from lambda_container.sigv4 import Credentials, sign

# One call gets predictions for HTTP callers and logits for the existing clients of direct invocations.
ACCEPT = "application/json;form=full"
# Bytes. The function's answer holds this up to twice, escaped, and must stay under Lambda's 6 MB (rule 65).
MAX_ANSWER = 1_000_000
RETRY_AFTER = "1"  # seconds, when the endpoint sends no Retry-After
BUSY = frozenset({429, 503})
UNUSABLE = frozenset({400, 422})


class Inference(NamedTuple):
    """One entry per picture in `predictions` and `logits`."""

    model: Mapping[str, Any]
    predictions: list[Any]
    logits: list[list[float]]


def infer(
    picture: bytes,
    media_type: str,
    *,
    settings: Settings,
    service: Service,
    credentials: Credentials,
    now: datetime,
    deadline: Deadline,
) -> Inference:
    """Classifies a picture. Raises RequestError: 413, 415, 422 for the picture; 424, 429, 502–504 for the endpoint."""
    request = sign(
        invocation(picture, media_type, settings),
        service="sagemaker",
        region=settings.region,
        credentials=credentials,
        now=now,
    )
    try:
        response = service.send(request, deadline, MAX_ANSWER)
    except TimeoutError:
        raise RequestError("endpoint-timeout", "the endpoint did not answer in time; try again") from None
    except TooLargeError:
        raise RequestError("bad-answer", f"the endpoint's answer is larger than {MAX_ANSWER} bytes") from None
    except OSError as error:
        raise RequestError("endpoint-unreachable", f"cannot connect to the endpoint: {error}") from error
    if response.status != 200:
        raise refusal(response)
    return read_inference(response.body)


def invocation(picture: bytes, media_type: str, settings: Settings) -> Request:
    return Request(
        "POST",
        f"{settings.runtime.prefix}/endpoints/{settings.endpoint_name}/invocations",
        {
            "Host": settings.runtime.host_header,
            "Content-Type": media_type,
            "Content-Length": str(len(picture)),
            "Accept": ACCEPT,
        },
        picture,
    )


def read_inference(body: bytes) -> Inference:
    """Parses the answer. Raises RequestError 502 when it is not that of Kennel's serving image."""
    try:
        answer = json.loads(body)
        return Inference(answer.get("model", {}), [*answer["predictions"]], [[*row] for row in answer["logits"]])
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"the endpoint's answer lacks predictions or logits; deploy an image that supports Accept: {ACCEPT}"
        raise RequestError("bad-answer", message) from None


def refusal(response: Response) -> RequestError:
    """Translates the endpoint's error. What the model's container says about the picture is passed on to the caller."""
    details = _object(response.body)
    error_type = response.headers.get("x-amzn-errortype", str(details.get("__type", ""))).partition(":")[0]
    error_type = error_type.rpartition("#")[2] or str(details.get("ErrorCode", ""))
    if error_type == "ModelError" or "OriginalStatusCode" in details:
        return _model_refusal(details, response)
    message = str(details.get("message", details.get("Message", ""))) or "it gave no reason"
    status = 429 if error_type.startswith("Throttling") else response.status
    if status in BUSY:
        return _busy(status, message, response)
    if status == 413:
        return RequestError("picture-too-large", message, original_status=413)
    code = "endpoint-failed" if status >= 500 else "endpoint-refused"
    return RequestError(code, f"{error_type or 'the endpoint'}: {message}", original_status=status)


def _model_refusal(details: Mapping[str, Any], response: Response) -> RequestError:
    original = _number(details.get("OriginalStatusCode"))
    text = details.get("OriginalMessage") or details.get("Message") or details.get("message") or "it gave no reason"
    error = _object(str(text)).get("error")
    own = error if isinstance(error, dict) else {}
    message = str(own.get("message", text))[:1000]
    if original in BUSY:
        return _busy(original, message, response)
    if original == 413:
        return RequestError("picture-too-large", message, original_status=original)
    if original == 415:
        return RequestError("unsupported-type", message, original_status=original)
    if original in UNUSABLE and own:
        endpoint_code = str(own.get("code", "unusable-picture"))
        return RequestError("unusable-picture", message, endpoint_code=endpoint_code, original_status=original)
    return RequestError("model-error", message, original_status=original)


def _busy(status: int, message: str, response: Response) -> RequestError:
    code = "endpoint-busy" if status == 429 else "endpoint-unavailable"
    after = response.headers.get("retry-after", RETRY_AFTER)
    return RequestError(code, message, original_status=status, retry_after=after)


def _object(text: bytes | str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 500
