"""The values between settings and AWS: requests, observed states, steps, plans. Nothing here does I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Names that people give to variables that hold secrets.
SECRET = re.compile(r"secret|token|passw|credential|api_?key|private_?key", re.IGNORECASE)
HIDDEN = "(hidden)"
Action = Literal["create", "update", "replace", "delete", "none"]
Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A value known only after a step, such as a new role's ARN. Apply fills it in."""

    address: str
    attribute: str

    def __str__(self) -> str:
        return f"${{{self.address}.{self.attribute}}}"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of an AWS API, named as in its reference. `params` may hold Refs. `gives` maps the attributes that later
    Refs may name to their dotted places in the answer."""

    service: str
    operation: str
    params: Params = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.service}.{self.operation} {json.dumps(redacted(self.params), sort_keys=True)}"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Send `request` again and again until the value at `path` is `until` (or one of them). A value in `failed` is an
    error; its reason is the text at the place `reason`.

    `expect` maps places of the last answer to the values that they must hold, because an update that was rolled back
    ends in service too. `unmet` is the reason for a mismatch when the answer gives none. With `gone`, wait until the
    resource no longer exists; with `empty`, until nothing is at `path`. `fix` ends every error. Times are seconds.
    """

    request: Request
    path: str = ""
    until: str | tuple[str, ...] = ""
    failed: tuple[str, ...] = ()
    reason: str = ""
    expect: Mapping[str, str] = field(default_factory=dict)
    unmet: str = "no reason given"
    fix: str = ""
    gone: bool = False
    empty: bool = False
    every: float = 5.0
    timeout: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class EmptyBucket:
    """Delete every version of every object of a bucket."""

    bucket: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """Send `request` and compare its answer with `expect`: dotted places and the value that each must hold (None:
    nothing). A mismatch ends the plan before the acts that come after. `busy` are dotted places with the values that
    say "not now": such an answer is asked for again for a while.

    `body` names the field of the answer that is a stream of JSON; it is parsed before the comparison. The error begins
    with `problem` and ends with `fix`. Between them is the first of `reasons` whose places the answer has, or else the
    body as text. In `problem` and `reasons`, {dotted.place} stands for a value of the answer.
    """

    request: Request
    expect: Mapping[str, str | int | None]
    body: str = ""
    problem: str = ""
    reasons: tuple[str, ...] = ()
    fix: str = ""
    busy: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


Act = Request | Wait | EmptyBucket | Check


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of a resource, as it is and as it will be (JSON-like values; None is absent)."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class State:
    """A resource as observed on AWS: the fields that a plan compares, the attributes that Refs name, its tags."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a plan does to one resource, and why. `touches` says which traffic, capacity or rights change."""

    action: Action
    address: str
    reason: str
    acts: tuple[Act, ...] = ()
    changes: tuple[Change, ...] = ()
    touches: str = ""

    @property
    def kind(self) -> str:
        return self.address.partition("/")[0]

    @property
    def name(self) -> str:
        return self.address.partition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in the order in which they run. `known` seeds the Refs: address → attributes of resources that exist."""

    steps: tuple[Step, ...]
    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action != "none")

    def to_json(self) -> str:
        return json.dumps({"steps": [_step(step) for step in self.steps]}, indent=2)


Snapshot = Mapping[str, State | None]
Call = Callable[[Request], dict[str, Any]]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields of `after` whose value in `before` is missing or different."""
    return tuple(
        Change(field=name, before=before.get(name), after=value)
        for name, value in after.items()
        if printable(before.get(name)) != printable(value)
    )


def content_hash(*parts: Any, length: int = 10) -> str:
    """A short name for values (`length` hexadecimal digits): equal values give the same name."""
    text = json.dumps([printable(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def printable(value: Any) -> Any:
    """`value` as JSON can hold it: Refs by name, bytes as their size, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [printable(inner) for inner in value]
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def redacted(value: Any) -> Any:
    """`printable`, with every value hidden whose name says that it is a secret."""

    def hide(name: str, inner: Any) -> Any:
        return HIDDEN if isinstance(inner, str) and inner and SECRET.search(name) else redacted(inner)

    if isinstance(value, Mapping):
        return {str(name): hide(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return printable(value)


def _step(step: Step) -> dict[str, Any]:
    return {
        "action": step.action,
        "resource": step.address,
        "reason": step.reason,
        "touches": step.touches,
        "changes": [redacted(vars(change)) for change in step.changes],
        "requests": [_act(act) for act in step.acts],
    }


def _act(act: Act) -> dict[str, Any]:
    if isinstance(act, Request):
        return {"service": act.service, "operation": act.operation, "params": redacted(act.params)}
    if isinstance(act, Wait):
        until = act.until or ("empty" if act.empty else "gone")
        expect = {"expect": dict(act.expect)} if act.expect else {}
        return {"wait": act.path or "existence", "until": until, "operation": act.request.operation, **expect}
    if isinstance(act, Check):
        params = redacted(act.request.params)
        return {"check": act.request.operation, "params": params, "expect": dict(act.expect)}
    return {"empty": act.bucket}
