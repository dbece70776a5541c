"""A recorded answer of real AWS, what localcloud answers to the same call, and how both are written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

# What stands below these keys is the caller's own: a policy, tags, metadata.
OPAQUE = {"AssumeRolePolicyDocument", "Metadata", "PolicyDocument", "tags"}


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An error: its code, its HTTP status, its message."""

    code: str
    status: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer: its HTTP status and its keys: `Role.Arn` is a key of an object, also of one in a list."""

    status: int
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """moto has a bug: an error 500 that no AWS service sends."""


Outcome = Refused | Answered | Crashed


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call of one operation whose answer by real AWS is recorded.

    `source`: the recording in the repository localstack/localstack, below tests/aws/services: `<file>::<test>`.
    `ask`: makes the call with a boto3 client of the service, and before it what the call needs.
    `aws`: what AWS answered. `here`: what localcloud answers instead, where the two differ.
    """

    operation: str
    source: str
    ask: Callable[[Any], Any]
    aws: Outcome
    here: Outcome | None = None
    region: str = "us-east-1"


def refused(code: str, status: int, message: str) -> Refused:
    """An error, in one line."""
    return Refused(code=code, status=status, message=message)


def answered(keys: str = "", *, status: int = 200) -> Answered:
    """An answer with these keys, separated by blanks."""
    return Answered(status=status, keys=frozenset(keys.split()))


def but(answer: Answered, *, without: str = "", more: str = "", status: int = 0) -> Answered:
    """The answer with fewer keys, more keys, or another status."""
    keys = answer.keys - frozenset(without.split()) | frozenset(more.split())
    return Answered(status=status or answer.status, keys=keys)


def outcome(case: Case, client: Any) -> Outcome:
    """What localcloud answers."""
    try:
        answer = case.ask(client)
    except ClientError as error:
        told: Any = error.response
        status = told["ResponseMetadata"]["HTTPStatusCode"]
        return Crashed() if status == 500 else refused(told["Error"]["Code"], status, told["Error"].get("Message", ""))
    status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    return Answered(status=status, keys=frozenset(_keys(answer, "")))


def _keys(value: Any, prefix: str) -> Iterator[str]:
    """The keys of the leaves. An empty list or object is a leaf."""
    if isinstance(value, list) and value:
        for each in value:
            yield from _keys(each, prefix)
    elif isinstance(value, Mapping) and value and prefix.rpartition(".")[2] not in OPAQUE:
        for key, inner in value.items():
            yield from _keys(inner, f"{prefix}.{key}" if prefix else key)
    elif prefix:
        yield prefix
