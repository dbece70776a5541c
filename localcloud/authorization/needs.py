"""The rights that a request needs, as templates over its parameters. Pure.

`{A.B}` in a template is the value at that place; if there is a list on the way, each of its values. A resource may hold
`*`, as AWS names what a request has not chosen yet (`instance/*`): only a policy that allows all of them allows it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

# The table's own account and region; `relocated` puts the caller's in their place.
ACCOUNT, REGION = "123456789012", "us-east-1"
Params = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right that a request needs: an action on a resource, under what is known of the request."""

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        under = f" with {dict(self.context)}" if self.context else ""
        return f"{self.action} on {self.resource}{under}"


class Account(Protocol):
    """What the account holds and a request does not say."""

    def profile_roles(self, profile: str) -> list[str]:
        """The names of the roles in an instance profile."""
        ...

    def subnets(self, chosen: str | None) -> list[str]:
        """The ids of the subnets that an instance may get: the chosen one, else one of the default VPC."""
        ...

    def security_groups(self, chosen: list[str]) -> list[str]:
        """The ids of an instance's security groups: the chosen ones, else the default VPC's own."""
        ...

    def vpc(self, chosen: str | None) -> str:
        """The id of a VPC: the chosen one, else the default one."""
        ...

    def tags(self, arn: str) -> Mapping[str, str]:
        """The tags of a resource that is there."""
        ...

    def boundary(self, role: str) -> str | None:
        """The ARN of a role's permissions boundary."""
        ...

    def has_linked_role(self, arn: str) -> bool:
        """Whether a service has made its role in this account already."""
        ...


Rule = Callable[[Params, Account], Iterator[Need]]


def on(actions: str, *templates: str, when: str = "", context: Mapping[str, str] | None = None) -> Rule:
    """Needs `actions` (words) on each resource that the templates name. A request that leaves a place of a template
    empty asks about everything there, so it needs the right on all of it (rule 99).

    With `when`, only for requests that have a value at that place. `context`: condition keys, each with a template; a
    key whose place is empty is absent.
    """

    def needs(params: Params, _: Account) -> Iterator[Need]:
        if when and not list(values(params, when)):
            return
        known = {key: filled for key, held in (context or {}).items() for filled in fill(held, params)}
        for action, template in itertools.product(actions.split(), templates):
            for resource in fill(template, params, otherwise="*"):
                yield Need(action=action, resource=resource, context=known)

    return needs


def both(*rules: Rule) -> Rule:
    """All that some rules need."""
    return lambda params, account: (need for rule in rules for need in rule(params, account))


def nothing(_: Params, __: Account) -> Iterator[Need]:
    """What anybody may ask."""
    yield from ()


def arn(service: str, resource: str) -> str:
    """An ARN of this account; the braces of a template stay."""
    region = "" if service == "iam" else REGION
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def relocated(need: Need, *, account: str, region: str) -> Need:
    """A need of the table in another account and region. SageMaker's names are lower case in ARNs (rule 79)."""
    resource = need.resource.replace(f":{ACCOUNT}:", f":{account}:").replace(f":{REGION}:", f":{region}:")
    if resource.startswith("arn:aws:sagemaker:"):
        resource = resource.lower()
    return Need(action=need.action, resource=resource, context=need.context)


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
