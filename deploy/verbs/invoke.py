"""invoke: asks the function what a picture shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.errors import DataError, DeployError
from deploy.models import Request
from deploy.session import Session


def invoke(session: Session, event: Mapping[str, Any]) -> dict[str, Any]:
    """The function's answer to an event. Raises DeployError when the function itself failed."""
    name = session.settings.function_name
    params = {"FunctionName": name, "Payload": json.dumps(event).encode()}
    answer = session.call(Request(service="lambda", operation="Invoke", params=params))
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise DeployError(f"function {name}: {payload.get('errorType')}: {payload.get('errorMessage')}")
    return payload


def picture_event(picture: Path) -> dict[str, str]:
    """The event that carries a picture of this machine."""
    try:
        return {"image": base64.b64encode(picture.read_bytes()).decode()}
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error}") from error
