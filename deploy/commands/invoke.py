"""invoke: asks the function, or an endpoint itself, what a picture shows."""

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
    """The answer to an event of the version that is live. Raises DeployError when the function itself failed."""
    name, alias = session.settings.function_name, session.settings.function.alias
    params = {"FunctionName": name, "Qualifier": alias, "Payload": json.dumps(event).encode()}
    answer = session.call(lambda_("Invoke", **params))
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise DeployError(f"function {name}: {payload.get('errorType')}: {payload.get('errorMessage')}")
    return payload


def invoke_endpoint(session: Session, endpoint: str, picture: Path, *, variant: str = "") -> Any:
    """An endpoint's own answer (or one variant's) to a picture of this machine; an async one is waited for.

    Raises DataError, DeployError.
    """
    spec = endpoint_spec(session.settings, endpoint)
    variants = spec.section.all_variants
    if variant and variant not in variants:
        raise DeployError(f"{spec.name}: has no variant {variant}; there are {', '.join(variants)}")
    if variant and spec.is_async:
        raise DeployError(f"{spec.name}: is async, and those have one variant; leave --variant out")
    question = Question(
        endpoint=spec.name, picture=_read(picture), media_type=media_type(picture.name), variant=variant
    )
    if not spec.is_async:
        return ask(question, session.call)
    return ask_later(question, session.call, folder=spec.async_folder, clock=session.clock, say=session.screen.say)


def picture_event(picture: Path) -> dict[str, str]:
    """The event that carries a picture of this machine."""
    return {"image": base64.b64encode(_read(picture)).decode()}


def _read(picture: Path) -> bytes:
    try:
        return picture.read_bytes()
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error}") from error
