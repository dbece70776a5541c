"""IAM documents as values: statements, trust policies, size, and the rights that differ between documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploy.errors import DeployError

Document = dict[str, Any]
Statement = dict[str, Any]
VERSION = "2012-10-17"
MANAGED_LIMIT = 6144  # characters of a managed policy without white space (IAM's quotas)


def allow(sid: str, actions: Sequence[str], resources: Sequence[str], **condition: Mapping[str, Any]) -> Statement:
    """A statement. `condition` is keyed by operator: StringEquals={"iam:PassedToService": …}."""
    made: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return made | ({"Condition": dict(condition)} if condition else {})


def document(statements: Iterable[Statement]) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def service_trust(services: Sequence[str], **condition: Mapping[str, Any]) -> Document:
    """A trust policy for services, such as sagemaker.amazonaws.com."""
    return _trust({"Service": list(services) if len(services) > 1 else services[0]}, condition)


def principal_trust(arn: str) -> Document:
    """A trust policy for a user, a role, or the root of an account, which then decides who assumes the role."""
    return _trust({"AWS": arn}, {})


def _trust(principal: Mapping[str, Any], condition: Mapping[str, Any]) -> Document:
    made = {"Effect": "Allow", "Principal": dict(principal), "Action": "sts:AssumeRole"}
    return document([made | ({"Condition": dict(condition)} if condition else {})])


def size(policy: Document) -> int:
    """Characters as IAM counts them."""
    return len(json.dumps(policy, separators=(",", ":")))


def managed(policy: Document, name: str) -> Document:
    """The same document. Raises DeployError when it is too long for a managed policy."""
    if size(policy) > MANAGED_LIMIT:
        fix = "shorten project.name or the stage's name in deploy.toml"
        raise DeployError(f"policy {name}: {size(policy)} characters, but IAM allows {MANAGED_LIMIT}; {fix}")
    return policy


def delta(before: Iterable[Document], after: Iterable[Document]) -> str:
    """The rights gained and lost between two sets of documents, one line each; empty when they allow the same.

    A right is an action on a resource under a condition, so the same action on another resource is another right.
    """
    old, new = _rights(before), _rights(after)
    gained, lost = _lines("+", new, without=old), _lines("-", old, without=new)
    return "\n".join((*gained, *lost))


def actions(documents: Iterable[Document]) -> list[str]:
    """Every action that the documents allow, sorted."""
    return sorted({action for action, _, _ in _rights(documents)})


def terms(condition: Mapping[str, Any]) -> str:
    """A condition as people read it: `iam:PassedToService is sagemaker.amazonaws.com`."""
    words = {"StringLike": "like", "ArnLike": "like", "ForAnyValue:StringLike": "like"}
    return " and ".join(
        f"{key} {words.get(operator, 'is')} {' or '.join(as_list(value))}"
        for operator, keys in sorted(condition.items())
        for key, value in sorted(keys.items())
    )


def as_list(value: Any) -> list[str]:
    """A value as a list: in IAM a single value stands for a list of one."""
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


Right = tuple[str, str, str]


def _rights(documents: Iterable[Document]) -> set[Right]:
    return {right for policy in documents for statement in statements_of(policy) for right in _of(statement)}


def statements_of(policy: Document) -> list[Statement]:
    """A document's statements: in IAM a single statement stands for a list of one."""
    statements = policy.get("Statement", ())
    return [dict(statements)] if isinstance(statements, Mapping) else list(statements)


def _of(statement: Statement) -> Iterator[Right]:
    under = terms(statement.get("Condition", {}))
    mark = "" if statement.get("Effect") == "Allow" else "not "
    for action in as_list(statement.get("Action", ())):
        for resource in as_list(statement.get("Resource", "*")):
            yield f"{mark}{action}", resource, under


def _lines(mark: str, rights: set[Right], *, without: set[Right]) -> Iterator[str]:
    """One line for all resources on which the same actions differ under the same condition."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for action, resource, under in sorted(rights - without):
        by_place.setdefault((resource, under), []).append(action)
    places: dict[tuple[str, str], list[str]] = {}
    for (resource, under), names in sorted(by_place.items()):
        places.setdefault((", ".join(names), under), []).append(resource)
    for (listed, under), resources in places.items():
        yield f"{mark} {listed} on {', '.join(resources)}" + (f" where {under}" if under else "")
