"""The policy simulator: a process that stays up and decides whether policies allow what a request needs."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from localcloud.authorization.needs import Need
from localcloud.authorization.tools import Tools, install
from localcloud.errors import LocalcloudError

Decision = Literal["Allowed", "ImplicitlyDenied", "ExplicitlyDenied"]
Kind = Literal["identity", "boundary", "session", "resource"]


@dataclass(frozen=True, kw_only=True)
class Policies:
    """The policies that bear on a request, as JSON: the caller's, and the resource's own.

    `boundary`: None without a permissions boundary. `session`: the policy that a session was begun with.
    """

    identity: tuple[str, ...] = ()
    boundary: str | None = None
    session: str | None = None
    resource: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(each for each in (*self.identity, self.boundary, self.session, self.resource) if each is not None)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Somebody (`principal`, an ARN) needs a right, in an account, under some policies."""

    principal: str
    account: str
    need: Need
    policies: Policies


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A decision, and which kind of policy refuses. `error`: the action, the ARN or a policy does not exist in AWS."""

    decision: Decision = "ImplicitlyDenied"
    by: Kind = "identity"
    error: str = ""

    @property
    def is_allowed(self) -> bool:
        return self.decision == "Allowed" and not self.error


@dataclass(kw_only=True)
class Simulator:
    """One process, started at the first question. Thread-safe. `locate` returns where the tools are installed."""

    locate: Callable[[], Tools] = install
    _process: "subprocess.Popen[str] | None" = None
    _known: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, cases: Sequence[Case]) -> list[Verdict]:
        """A verdict for each case. Raises LocalcloudError when the simulator cannot be installed or ends."""
        with self._lock:
            process = self._running()
            documents = {_name(text): text for case in cases for text in case.policies.all}
            new = {name: text for name, text in documents.items() if name not in self._known}
            question = {"documents": new, "cases": [_asked(case) for case in cases]}
            answer = _exchange(process, json.dumps(question))
            self._known |= documents.keys()
        return [Verdict(**each) for each in json.loads(answer)]

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process. Does nothing when it does not run."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None and process.stdin is not None and process.stdout is not None:
                process.stdin.close()
                process.wait(timeout=10)
                process.stdout.close()

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            tools = self.locate()
            self._process = subprocess.Popen(
                [tools.node, tools.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
            self._known = set()
        return self._process


def _exchange(process: "subprocess.Popen[str]", line: str) -> str:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the simulator has no pipes")
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except OSError:
        answer = ""
    if not answer:
        raise LocalcloudError(f"the policy simulator ended with exit code {process.wait(timeout=10)}")
    return answer


@lru_cache(maxsize=4096)
def _name(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()[:24]


def _asked(case: Case) -> dict[str, Any]:
    """A case as the simulator reads it."""
    policies = case.policies
    return {
        "account": case.account, "principal": case.principal, "action": case.need.action,
        "resource": case.need.resource, "context": dict(case.need.context),
        "identity": [_name(each) for each in policies.identity],
        "boundary": [_name(policies.boundary)] if policies.boundary is not None else None,
        "session": _name(policies.session) if policies.session is not None else None,
        "resourcePolicy": _name(policies.resource) if policies.resource is not None else None,
    }  # fmt: skip
