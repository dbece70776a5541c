"""Checks a request's parameters against botocore's models and reports faults in AWS's own words. Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from localcloud.errors import ApiError
from localcloud.gateway.protocol import Shape, model

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "character": (str,), "integer": (int,), "long": (int,), "float": (int, float),
    "double": (int, float), "boolean": (bool,), "blob": (bytes, bytearray), "timestamp": (datetime,),
    "structure": (dict,), "map": (dict,), "list": (list,),
}  # fmt: skip

_CODES = {"sagemaker-runtime": "ValidationError", "ecr": "InvalidParameterException"}


def validate(service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Check parameters as AWS does: required members, types, lengths, ranges, patterns, enums.

    Raises ApiError ValidationException (some services use another code) that lists every fault in AWS's words.
    """
    shape = model(service).operation_model(operation).input_shape
    faults = list(_faults(params, shape, "")) if shape is not None else []
    if not faults:
        return
    number = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: "
    code = _CODES.get(service, "ValidationException")
    raise ApiError(code, number + "; ".join(faults), 400)


def _faults(value: Any, shape: Shape, path: str) -> Iterable[str]:
    kind: str = shape.type_name
    if kind == "structure" and getattr(shape, "is_document_type", False):
        return
    fits: bool = isinstance(value, _TYPES[kind])  # a variable, because mypy would narrow `value` to object
    if not fits or (isinstance(value, bool) and kind != "boolean"):
        yield f"Value {_shown(value)} at '{path}' failed to satisfy constraint: Member must be a {kind}"
        return
    yield from (
        f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {rule}" for rule in _violations(value, shape)
    )
    if kind == "structure":
        yield from _structure_faults(value, shape, path)
    elif kind == "list":
        for number, inner in enumerate(value, start=1):
            yield from _faults(inner, shape.member, f"{path}.{number}.member")
    elif kind == "map":
        for key, inner in value.items():
            yield from _faults(key, shape.key, f"{path}.{key}.key")
            yield from _faults(inner, shape.value, f"{path}.{key}.value")


def _structure_faults(value: Mapping[str, Any], shape: Shape, path: str) -> Iterable[str]:
    def at(name: str) -> str:
        return f"{path}.{_camel(name)}" if path else _camel(name)

    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{at(name)}' failed to satisfy constraint: Member must not be null"
    for name, inner in value.items():
        if name not in shape.members:
            known = ", ".join(shape.members)
            yield f"Value at '{at(name)}' failed to satisfy constraint: Unknown member, must be one of: {known}"
        else:
            yield from _faults(inner, shape.members[name], at(name))
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        names = ", ".join(shape.members)
        yield f"Value at '{path}' failed to satisfy constraint: Exactly one member must be set of: {names}"


def _violations(value: Any, shape: Shape) -> Iterable[str]:
    rules = shape.metadata
    if shape.type_name in ("string", "list", "map", "blob"):
        size, what = len(value), "length"
    elif shape.type_name in ("integer", "long", "float", "double"):
        size, what = value, "value"
    else:
        return
    if "min" in rules and size < rules["min"]:
        yield f"Member must have {what} greater than or equal to {rules['min']}"
    if "max" in rules and size > rules["max"]:
        yield f"Member must have {what} less than or equal to {rules['max']}"
    if shape.type_name != "string":
        return
    if "enum" in rules and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    pattern = _pattern(rules["pattern"]) if "pattern" in rules else None
    # localcloud's extension: a channel may be a folder on this machine.
    if (
        pattern is not None
        and not pattern.fullmatch(value)
        and not (shape.name == "S3Uri" and value.startswith("file:///"))
    ):
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """A model's Java pattern as a Python pattern; None for one that Python cannot compile."""
    for java, python in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s"), (r"\p{M}", r"\w"), ("[[", r"[\[")):
        text = text.replace(java, python)
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value) if not isinstance(value, bytes) else f"<{len(value)} bytes>"
    return f"'{text}'" if len(text) <= 1000 else f"'{text[:1000]}...'"
