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

_CONTAINERS = ("structure", "list", "map")

_CODES = {"sagemaker-runtime": "ValidationError", "logs": "InvalidParameterException"}


def validate(service: str, operation: str, params: Mapping[str, Any]) -> None:
    """Check parameters as AWS does: required members, types, lengths, ranges, patterns, enums.

    Raises ApiError ValidationException (some services use another code) that lists every fault in AWS's words.
    """
    shape = model(service).operation_model(operation).input_shape
    faults = list(_faults(params, shape, "")) if shape is not None else []
    if not faults:
        return
    if service == "ecr":
        raise ApiError("InvalidParameterException", _in_ecrs_words(faults[0]), 400)
    number = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: "
    code = _CODES.get(service, "ValidationException")
    raise ApiError(code, number + "; ".join(faults), 400)


def _in_ecrs_words(fault: str) -> str:
    """A fault as ECR tells it: the first one only, without the value (rule 106)."""
    value_and_path, _, rule = fault.partition("' failed to satisfy constraint: ")
    value, _, path = value_and_path.rpartition(" at '")
    if not value.startswith("Value '["):  # a list's constraints keep the usual words
        like = re.fullmatch("Member must satisfy regular expression pattern: (.*)", rule)
        rule = f"must satisfy regular expression '{like.group(1)}'" if like else rule
        rule = rule.replace("Member must have length", "must have length")
    return f"Invalid parameter at '{path}' failed to satisfy constraint: '{rule}'"


def _faults(value: Any, shape: Shape, path: str) -> Iterable[str]:
    kind: str = shape.type_name
    if kind == "structure" and getattr(shape, "is_document_type", False):
        return
    if not _fits(value, shape):
        yield f"Value {_shown(value)} at '{path}' failed to satisfy constraint: Member must be a {kind}"
        return
    yield from (
        f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {rule}" for rule in _violations(value, shape)
    )
    if kind == "structure":
        yield from _structure_faults(value, shape, path)
    elif kind == "list":
        yield from _members_faults(value, shape.member, value, path, "Member")
        for number, inner in enumerate(value, start=1):
            yield from _nested_faults(inner, shape.member, f"{path}.{number}.member")
    elif kind == "map":
        yield from _members_faults(value, shape.key, value, path, "Map keys")
        yield from _members_faults(value.values(), shape.value, value, path, "Map value")
        for key, inner in value.items():
            yield from _nested_faults(inner, shape.value, f"{path}.{key}.value")


def _fits(value: Any, shape: Shape) -> bool:
    """Whether a value has the shape's type; to Python True is an int too."""
    is_of_type: bool = isinstance(value, _TYPES[shape.type_name])
    return is_of_type and not (isinstance(value, bool) and shape.type_name != "boolean")


def _nested_faults(value: Any, shape: Shape, path: str) -> Iterable[str]:
    """The faults of one member of a list or map; _members_faults reports those of scalars of the right type."""
    if shape.type_name in _CONTAINERS or not _fits(value, shape):
        yield from _faults(value, shape, path)


def _members_faults(members: Iterable[Any], shape: Shape, whole: Any, path: str, what: str) -> Iterable[str]:
    """The one fault that AWS reports of a list's or map's scalars: the whole value, and all that each must satisfy."""
    if shape.type_name in _CONTAINERS:
        return
    if not any(_fits(member, shape) and list(_violations(member, shape)) for member in members):
        return
    rules = [*_constraints(shape), *(["Member must not be null"] if what != "Map keys" else [])]
    yield (
        f"Value {_shown(whole)} at '{path}' failed to satisfy constraint: {what} must satisfy constraint: "
        f"[{', '.join(rules)}]"
    )


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
    """The constraints that a value does not satisfy."""
    rules, what = shape.metadata, _measure(shape)
    size = value if what == "value" else len(value) if what else 0
    if what and "min" in rules and size < rules["min"]:
        yield _minimum(what, rules["min"])
    if what and "max" in rules and size > rules["max"]:
        yield _maximum(what, rules["max"])
    if shape.type_name != "string":
        return
    if "enum" in rules and value not in rules["enum"]:
        yield _one_of(rules["enum"])
    pattern = _pattern(rules["pattern"]) if "pattern" in rules else None
    # localcloud's extension: a channel may be a folder on this machine.
    if (
        pattern is not None
        and not pattern.fullmatch(value)
        and not (shape.name == "S3Uri" and value.startswith("file:///"))
    ):
        yield _like(rules["pattern"])


def _constraints(shape: Shape) -> Iterable[str]:
    """All constraints of a shape, in the order in which AWS lists those of a list's members."""
    rules, what = shape.metadata, _measure(shape)
    if what and "max" in rules:
        yield _maximum(what, rules["max"])
    if what and "min" in rules:
        yield _minimum(what, rules["min"])
    if "pattern" in rules:
        yield _like(rules["pattern"])
    if "enum" in rules:
        yield _one_of(rules["enum"])


def _measure(shape: Shape) -> str:
    """What a shape's minimum and maximum limit; empty where they limit nothing."""
    if shape.type_name in ("string", "list", "map", "blob"):
        return "length"
    return "value" if shape.type_name in ("integer", "long", "float", "double") else ""


def _minimum(what: str, limit: Any) -> str:
    return f"Member must have {what} greater than or equal to {limit}"


def _maximum(what: str, limit: Any) -> str:
    return f"Member must have {what} less than or equal to {limit}"


def _one_of(values: Iterable[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def _like(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


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
    text = _java(value)
    return f"'{text}'" if len(text) <= 1000 else f"'{text[:1000]}...'"


def _java(value: Any) -> str:
    """A value as Java prints it: [a, b], {a=1}, true."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_java(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_java, value))}]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)
