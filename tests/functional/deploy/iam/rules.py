"""A rule of the authorization table: the rights that a request needs, as templates over its parameters. `{A.B}` in a
template is the value at that place; if there is a list on the way, each of its values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.functional.deploy.iam.simulator import ACCOUNT, Need

REGION = "us-east-1"
# What a request that names nothing asks about. AWS writes `*` there and compares it as it stands. The simulator would
# take a `*` for "some of them", which every policy allows; so it gets a name that only a right on everything covers.
EVERYTHING = "everything-that-there-is"
Params = Mapping[str, Any]
Rule = Callable[[Params], Iterator[Need]]


def on(actions: str, *templates: str, when: str = "", context: Mapping[str, str] | None = None) -> Rule:
    """Needs `actions` (words) on each resource that the templates name. A request that leaves a place of a template
    empty asks about everything there, so it needs the right on all of it (rule 99).

    With `when`, only for requests that have a value at that place. `context`: condition keys, each with a template; a
    key whose place is empty is absent.
    """

    def needs(params: Params) -> Iterator[Need]:
        if when and not list(values(params, when)):
            return
        known = {key: filled for key, held in (context or {}).items() for filled in fill(held, params)}
        for action, template in itertools.product(actions.split(), templates):
            for resource in fill(template, params, otherwise=EVERYTHING):
                yield Need(action=action, resource=resource, context=known)

    return needs


def both(*rules: Rule) -> Rule:
    """All that some rules need."""
    return lambda params: (need for rule in rules for need in rule(params))


def nothing(_: Params) -> Iterator[Need]:
    """What anybody may ask."""
    yield from ()


def arn(service: str, resource: str) -> str:
    """An ARN of this account; the braces of a template stay."""
    region = "" if service == "iam" else REGION
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def fill(template: str, params: Params, *, otherwise: str = "") -> Iterator[str]:
    """The template with its places filled in, once for each combination of their values. A place without a value is
    filled with `otherwise`; without that there is no text."""
    places = re.findall(r"{([^}]+)}", template)
    found = (list(values(params, place)) or [otherwise] * bool(otherwise) for place in places)
    for chosen in itertools.product(*found):
        text = template
        for place, value in zip(places, chosen, strict=True):
            text = text.replace(f"{{{place}}}", value)
        yield text


def values(value: Any, place: str) -> Iterator[str]:
    """What lies at a dotted place: of lists, each; of the roles that a plan names, their ARNs."""
    head, _, rest = place.partition(".")
    if isinstance(value, list):
        for each in value:
            yield from values(each, place)
    elif place == "":
        yield re.sub(r"\$\{role/([^.}]+)\.arn\}", rf"arn:aws:iam::{ACCOUNT}:role/\1", str(value))
    elif isinstance(value, Mapping) and value.get(head) not in (None, "", [], {}):
        inner = value[head]
        yield from (values(inner, rest) if rest or isinstance(inner, list) else values(inner, ""))
