"""IAM documents as values: statements, trust, size, and what one document allows that another does not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploy.errors import DeployError

Document = dict[str, Any]
Statement = dict[str, Any]
VERSION = "2012-10-17"
MANAGED_LIMIT = 6144  # characters of a managed policy; white space is not counted (IAM's quotas)


def allow(sid: str, actions: Sequence[str], resources: Sequence[str], **condition: Mapping[str, Any]) -> Statement:
    """A statement. `condition` is by operator: StringEquals={"iam:PassedToService": …}."""
    made: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return made | ({"Condition": dict(condition)} if condition else {})


def document(statements: Iterable[Statement]) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def service_trust(services: Sequence[str], **condition: Mapping[str, Any]) -> Document:
    """Who may take a role: services, such as sagemaker.amazonaws.com."""
    return _trust({"Service": list(services) if len(services) > 1 else services[0]}, condition)


def principal_trust(arn: str) -> Document:
    """Who may take a role: a user, a role, or an account's root that decides by itself who."""
    return _trust({"AWS": arn}, {})


def _trust(principal: Mapping[str, Any], condition: Mapping[str, Any]) -> Document:
    made = {"Effect": "Allow", "Principal": dict(principal), "Action": "sts:AssumeRole"}
    return document([made | ({"Condition": dict(condition)} if condition else {})])


def size(found: Document) -> int:
    """Characters as IAM counts them."""
    return len(json.dumps(found, separators=(",", ":")))


def managed(found: Document, what: str) -> Document:
    """The same document. Raises DeployError when it is too long for a managed policy."""
    if size(found) > MANAGED_LIMIT:
        fix = "shorten project.name or the stage's name in deploy.toml"
        raise DeployError(f"policy {what}: {size(found)} characters, and IAM takes {MANAGED_LIMIT}: {fix}")
    return found


def delta(before: Iterable[Document], after: Iterable[Document]) -> str:
    """The rights gained and lost from some documents to others, a line each; empty when they allow the same.

    A right is an action on a resource under a condition, so that the same action on another resource is seen too.
    """
    old, new = _rights(before), _rights(after)
    gained, lost = _lines("+", new, without=old), _lines("-", old, without=new)
    return "\n".join((*gained, *lost))


def actions(documents: Iterable[Document]) -> list[str]:
    """Every action that some documents allow, sorted."""
    return sorted({action for action, _, _ in _rights(documents)})


def terms(condition: Mapping[str, Any]) -> str:
    """A condition for people: `iam:PassedToService is sagemaker.amazonaws.com`."""
    words = {"StringLike": "like", "ArnLike": "like", "ForAnyValue:StringLike": "like"}
    return " and ".join(
        f"{key} {words.get(operator, 'is')} {' or '.join(as_list(value))}"
        for operator, keys in sorted(condition.items())
        for key, value in sorted(keys.items())
    )


def as_list(value: Any) -> list[str]:
    """IAM lets one value stand for a list of one."""
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


Right = tuple[str, str, str]


def _rights(documents: Iterable[Document]) -> set[Right]:
    return {right for found in documents for statement in statements_of(found) for right in _of(statement)}


def statements_of(found: Document) -> list[Statement]:
    """A document's statements, which may stand alone."""
    held = found.get("Statement", ())
    return [dict(held)] if isinstance(held, Mapping) else list(held)


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
    for (resource, under), found in sorted(by_place.items()):
        places.setdefault((", ".join(found), under), []).append(resource)
    for (found_there, under), resources in places.items():
        yield f"{mark} {found_there} on {', '.join(resources)}" + (f" where {under}" if under else "")
