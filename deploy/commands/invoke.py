"""invoke: classifies a picture with the function, or with an endpoint directly."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.aws.requests import lambda_
from deploy.endpoints.invoke import Question, ask, ask_later, media_type
from deploy.endpoints.spec import endpoint_spec
from deploy.errors import DataError, DeployError
from deploy.session import Session


def invoke(session: Session, event: Mapping[str, Any]) -> dict[str, Any]:
    """The live version's answer to an event. Raises DeployError when the function fails."""
    name, alias = session.settings.function_name, session.settings.function.alias
    params = {"FunctionName": name, "Qualifier": alias, "Payload": json.dumps(event).encode()}
    answer = session.call(lambda_("Invoke", **params))
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise DeployError(f"function {name}: {payload.get('errorType')}: {payload.get('errorMessage')}")
    return payload


def invoke_endpoint(session: Session, endpoint: str, picture: Path, *, variant: str = "") -> Any:
    """The answer of an endpoint (or of one variant) to a local picture; waits for the answer of an async endpoint.

    Raises DataError, DeployError.
    """
    spec = endpoint_spec(session.settings, endpoint)
    variants = spec.section.all_variants
    if variant and variant not in variants:
        raise DeployError(f"{spec.name}: unknown variant {variant}; choose one of {', '.join(variants)}")
    if variant and spec.is_async:
        raise DeployError(f"{spec.name}: an async endpoint has one variant only; leave --variant out")
    question = Question(
        endpoint=spec.name, picture=_read(picture), media_type=media_type(picture.name), variant=variant
    )
    if not spec.is_async:
        return ask(question, session.call)
    return ask_later(question, session.call, folder=spec.async_folder, clock=session.clock, say=session.screen.say)


def picture_event(picture: Path) -> dict[str, str]:
    """The event with a local picture."""
    return {"image": base64.b64encode(_read(picture)).decode()}


def _read(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as error:
        raise DataError(f"{picture}: cannot read it: {error}") from error
