"""Asking the SageMaker endpoint, and reading what it says (rules 30-32)."""

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

# One call for both forms of the answer: predictions for people, logits for the callers of the origin projects.
ACCEPT = "application/json;form=full"
# Bytes. The answer holds it up to twice, escaped, and must stay under Lambda's 6 MB (rule 65).
MAX_ANSWER = 1_000_000
RETRY_AFTER = "1"  # seconds, when the endpoint does not say
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
    """Raises RequestError: 413, 415, 422 for the picture; 424, 429, 502, 503, 504 for the endpoint."""
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
        raise RequestError(504, "endpoint-timeout", "the endpoint did not answer in time") from None
    except TooLargeError:
        raise RequestError(502, "bad-answer", f"the endpoint's answer is over {MAX_ANSWER} bytes") from None
    except OSError as error:
        raise RequestError(502, "endpoint-unreachable", f"the endpoint could not be reached: {error}") from error
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
    """Raises RequestError 502 when the answer is not that of Kennel's serving image."""
    try:
        found = json.loads(body)
        return Inference(found.get("model", {}), [*found["predictions"]], [[*row] for row in found["logits"]])
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"the endpoint's answer has no predictions and logits; it must understand {ACCEPT!r}"
        raise RequestError(502, "bad-answer", message) from None


def refusal(response: Response) -> RequestError:
    """The endpoint's error as ours. What the model's container said of the picture is passed on as such."""
    details = _object(response.body)
    kind = response.headers.get("x-amzn-errortype", str(details.get("__type", ""))).partition(":")[0]
    kind = kind.rpartition("#")[2] or str(details.get("ErrorCode", ""))
    if kind == "ModelError" or "OriginalStatusCode" in details:
        return _model_refusal(details, response)
    message = str(details.get("message", details.get("Message", ""))) or "no reason given"
    status = 429 if kind.startswith("Throttling") else response.status
    if status in BUSY:
        return _busy(status, status, message, response)
    if status == 413:
        return RequestError(413, "picture-too-large", message, original_status=413)
    code, outcome = ("endpoint-failed", 502) if status >= 500 else ("endpoint-refused", 424)
    return RequestError(outcome, code, f"{kind or 'the endpoint'}: {message}", original_status=status)


def _model_refusal(details: Mapping[str, Any], response: Response) -> RequestError:
    original = _number(details.get("OriginalStatusCode"))
    said = str(details.get("OriginalMessage") or details.get("Message") or details.get("message") or "no reason given")
    error = _object(said).get("error")
    own = error if isinstance(error, dict) else {}
    message = str(own.get("message", said))[:1000]
    if original in BUSY:
        return _busy(original, original, message, response)
    if original == 413:
        return RequestError(413, "picture-too-large", message, original_status=original)
    if original == 415:
        return RequestError(415, "unsupported-type", message, original_status=original)
    if original in UNUSABLE and own:
        return RequestError(422, str(own.get("code", "unusable-picture")), message, original_status=original)
    return RequestError(424, "model-error", message, original_status=original)


def _busy(status: int, original: int, message: str, response: Response) -> RequestError:
    code = "endpoint-busy" if status == 429 else "endpoint-unavailable"
    after = response.headers.get("retry-after", RETRY_AFTER)
    return RequestError(status, code, message, original_status=original, retry_after=after)


def _object(text: bytes | str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 500
