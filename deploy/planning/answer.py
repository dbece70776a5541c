"""Reads answers of AWS by dotted place, and compares them with what a Check expects (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.values import Check

PLACE = re.compile(r"\{([\w.]+)\}")
SHOWN = 300  # characters of a body that no reason was found in


def dig(answer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted place of an answer (a number is a place in a list), or None."""
    value: Any = answer
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


@dataclass(frozen=True, kw_only=True)
class Read:
    """The answer of a Check's request. `text` is its body as it came; `content` is the answer with the body parsed."""

    content: Mapping[str, Any]
    text: bytes = b""


def read(check: Check, answer: Mapping[str, Any]) -> Read:
    """Reads the body, which is a stream: it can be read once."""
    if not check.body:
        return Read(content=answer)
    text = answer[check.body].read()
    return Read(content={**answer, check.body: _json(text)}, text=text)


def is_busy(check: Check, answer: Read) -> bool:
    """Whether an answer says that it is only too early to ask."""
    return any(dig(answer.content, path) in values for path, values in check.busy.items())


def mismatch(check: Check, answer: Read) -> str:
    """How an answer differs from what `check` expects, in words for people; "" when it does not."""
    for path, expected in check.expect.items():
        value = dig(answer.content, path)
        if value != expected:
            difference = f"{path} is {'missing' if value is None else value}"
            difference += "" if expected is None else f", not {expected}"
            problem = f"{filled(check.problem, answer.content)}: " if check.problem else ""
            reason = (
                _reason(check, answer.content) or answer.text[:SHOWN].decode("utf-8", "replace") or "no reason given"
            )
            return f"{problem}{difference}: {reason}" + (f"\n{check.fix}" if check.fix else "")
    return ""


def filled(template: str, answer: Mapping[str, Any]) -> str:
    """`template` with each {dotted.place} replaced by the value there; "" for none."""

    def value(match: re.Match[str]) -> str:
        there = dig(answer, match.group(1))
        return "" if there is None else str(there)

    return PLACE.sub(value, template)


def _reason(check: Check, answer: Mapping[str, Any]) -> str:
    """The first reason all of whose places the answer has."""
    for template in check.reasons:
        if all(dig(answer, path) is not None for path in PLACE.findall(template)):
            return filled(template, answer)
    return ""


def _json(text: bytes) -> Any:
    """A parsed body; None for one that is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
