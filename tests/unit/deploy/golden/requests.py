"""Golden files: one for each request that Kennel can send, checked against botocore's own model.

`golden/<service>/<operation>.<case>.json`, in words: `sagemaker/update-endpoint.canary.json`. A file holds the
operation's name, the rules of docs/aws-contracts.md that the request honours, and the parameters.
KENNEL_GOLDEN=write writes the files; read what was written before committing it.
"""

from __future__ import annotations

import io
import itertools
import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

from deploy.values import Ref, Request
from localcloud.gateway.validation import validate

FOLDER = Path(__file__).parent


def check(case: str, request: Request, *, rules: tuple[int, ...] = ()) -> None:
    """Raises AssertionError when AWS would refuse the request, or when its golden file differs."""
    params = resolved(request.params)
    report = ParamValidator().validate(params, operation(request).input_shape)
    assert not report.has_errors(), report.generate_report()
    if request.service != "s3":  # whose bodies may be streams
        validate(request.service, request.operation, params)  # patterns, enums and lengths too
    shown_params = json.loads(json.dumps(shown(request.params), sort_keys=True))
    content = {"operation": request.operation, "rules": sorted(rules), "params": shown_params}
    text = json.dumps(content, indent=2) + "\n"
    path = FOLDER / file_name(case, request)
    if os.environ.get("KENNEL_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.relative_to(FOLDER)} is missing: KENNEL_GOLDEN=write makes it"
    assert text == path.read_text(encoding="utf-8")


def file_name(case: str, request: Request) -> str:
    """`service/operation.case.json`; leading words that the operation has already are dropped."""
    operation = xform_name(request.operation, "-")
    operation_words = {form for word in operation.split("-") for form in (word, f"{word}s")}
    words = list(itertools.dropwhile(operation_words.__contains__, case.split("-")))
    return f"{request.service}/{'.'.join([operation, *(['-'.join(words)] if words else [])])}.json"


def operation(request: Request) -> Any:
    """botocore's model of the request's operation."""
    return _service(request.service).operation_model(request.operation)


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


def resolved(value: Any) -> Any:
    """`value` with something in the place of each reference to what only a step can give."""
    if isinstance(value, Ref) and value.attribute == "published":
        return "4"
    if isinstance(value, Ref):
        return f"arn:aws:iam::123456789012:role/{value.address.rpartition('/')[2]}"
    if isinstance(value, dict):
        return {key: resolved(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(inner) for inner in value]
    return value


def shown(value: Any) -> Any:
    """`value` as a person reads it: references by name, documents opened up, bodies by their kind."""
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    if isinstance(value, bytes | io.IOBase):
        return "<body>"
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        try:
            return {"(JSON text)": json.loads(value)}
        except ValueError:
            return value
    return str(value) if isinstance(value, Ref | datetime) else value
