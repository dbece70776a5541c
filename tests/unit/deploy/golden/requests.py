"""Golden files: one for each request that the product can make, held against botocore's own model.

`golden/<service>.<Operation>.<name>.c<number>-c<number>.json`: the numbers are CONTRACTS.md's rules that the request
honours. KENNEL_GOLDEN=write writes them; read what was written before committing it.
"""

from __future__ import annotations

import io
import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from deploy.values import Ref, Request
from localcloud.gateway.validation import validate

FOLDER = Path(__file__).parent


def check(name: str, request: Request, *, contracts: tuple[int, ...] = ()) -> None:
    """Raises AssertionError when AWS would not take the request, or when it is not what its file says."""
    params = resolved(request.params)
    report = ParamValidator().validate(params, operation(request).input_shape)
    assert not report.has_errors(), report.generate_report()
    if request.service != "s3":  # whose bodies may be streams
        validate(request.service, request.operation, params)  # patterns, enums and lengths too
    text = json.dumps(shown(request.params), indent=2, sort_keys=True) + "\n"
    path = FOLDER / file_name(name, request, contracts)
    if os.environ.get("KENNEL_GOLDEN") == "write":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} is missing: KENNEL_GOLDEN=write makes it"
    assert text == path.read_text(encoding="utf-8")


def file_name(name: str, request: Request, contracts: tuple[int, ...]) -> str:
    rules = "-".join(f"c{number}" for number in sorted(contracts))
    return ".".join([request.service, request.operation, name, *([rules] if rules else []), "json"])


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
