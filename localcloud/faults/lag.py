"""Eventual consistency on request: who sees a new resource late, and how long (the table is late.py).

Get, Describe, Head and List see a resource at once. That is lenient: IAM's reads may be late too (Terraform's AWS
provider repeats them for new resources), but they seldom are, and to a read "not found" is an answer that clients act
on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from localcloud.errors import ApiError
from localcloud.gateway.requests import AnyCall, named

Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Late:
    """Operations that see a resource late, and AWS's answer until then.

    `operations`: "service Operation", where * stands for anything. `names`: where a request names the resource, one of
    several places. `subject`: where it names what the message is about, besides; a request without it is not refused.
    `until`: the part of the lag after which these operations see the resource. `source`: who saw that on AWS.
    """

    operations: tuple[str, ...]
    names: tuple[Path, ...]
    code: str
    message: str
    source: str
    status: int = 400
    subject: tuple[Path, ...] = ()
    until: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of resource. `made_by` and `gone_by`: operations, with where their requests name it.

    `short`: a name or ARN of a request → the resource's name. The first `made_by` counts: what comes later changes a
    resource that is known already.
    """

    name: str
    made_by: Mapping[str, Path]
    gone_by: Mapping[str, Path]
    late: tuple[Late, ...]
    short: Callable[[str], str] = lambda text: text


@dataclass(frozen=True, kw_only=True)
class Lag:
    """A Gate that refuses requests for a resource that their service does not see yet.

    `seconds`: how long a new resource is not seen everywhere. `made` holds when each was made.
    """

    kinds: tuple[Kind, ...]
    seconds: float
    now: Callable[[], datetime]
    account: str
    region: str
    made: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def refuse(self, call: AnyCall) -> ApiError | None:
        return next(self._refusals(call), None)

    def _refusals(self, call: AnyCall) -> Iterator[ApiError]:
        for kind in self.kinds:
            for late in kind.late:
                if not _is_among(call, late.operations):
                    continue
                for given in _at(call.params, late.names):
                    name = kind.short(given)
                    subjects = list(_at(call.params, late.subject)) if late.subject else [given]
                    if subjects and not self.is_seen(kind.name, name, late.until):
                        yield ApiError(late.code, self._words(late, name, given, subjects[0]), late.status)

    def is_seen(self, kind: str, name: str, until: float = 1.0) -> bool:
        """Whether a resource is old enough to be seen, or was not made here."""
        made = self.made.get((kind, name))
        return made is None or (self.now() - made).total_seconds() >= until * self.seconds

    def _words(self, late: Late, name: str, given: str, subject: str) -> str:
        bucket = subject.removeprefix("s3://").partition("/")[0]
        facts = {"name": name, "given": given, "subject": subject, "bucket": bucket, "lower": name.lower()}
        return late.message.format(**facts, account=self.account, region=self.region)

    def answered(self, call: AnyCall, status: int) -> None:
        """Remembers what was made and forgets what was deleted."""
        if status >= 300:
            return
        operation = f"{call.service} {call.operation}"
        for kind in self.kinds:
            for given in named(call.params, kind.gone_by.get(operation, ("",))):
                self.made.pop((kind.name, kind.short(given)), None)
            for given in named(call.params, kind.made_by.get(operation, ("",))):
                self.made.setdefault((kind.name, kind.short(given)), self.now())


def _is_among(call: AnyCall, operations: Iterable[str]) -> bool:
    return any(fnmatchcase(f"{call.service} {call.operation}", pattern) for pattern in operations)


def _at(params: Mapping[str, Any], paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from named(params, path)
