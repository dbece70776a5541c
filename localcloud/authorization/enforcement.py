"""IAM, enforced: judges what callers need, remembers decisions, and begins sessions of roles for containers."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from moto.sts.models import sts_backends

from localcloud.authorization import refusals
from localcloud.authorization.account import MotoAccount
from localcloud.authorization.identity import Caller, ExpiredSessionError, Identities, UnknownKeyError
from localcloud.authorization.needs import Need, relocated
from localcloud.authorization.simulator import Case, Policies, Simulator, Verdict
from localcloud.aws_client import Credentials

# Services renew the credentials of what they run. localcloud hands them over once, so they last.
SESSION_SECONDS = 7 * 24 * 3600
MOST = 50_000  # remembered decisions, before they are forgotten
ALLOWED = Verdict(decision="Allowed")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A right that the caller lacks."""

    caller: str
    need: Need
    verdict: Verdict

    @property
    def words(self) -> str:
        return refusals.words(self.caller, self.need, self.verdict)


@dataclass(kw_only=True)
class Enforcement:
    """Judges by the policies of this moment: a changed policy is another document, and so another decision."""

    account: MotoAccount
    simulator: Simulator = field(default_factory=Simulator)
    now: Callable[[], datetime] = _now
    is_enforced: bool = True
    _decided: dict[tuple[object, ...], Verdict] = field(default_factory=dict)
    _sessions: dict[tuple[str, str], tuple[Credentials, datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def identities(self) -> Identities:
        return Identities(account=self.account.account)

    def first_refused(self, caller: Caller, needs: Sequence[Need], context: Mapping[str, str]) -> Refused | None:
        """The first right that the caller lacks; None when they have all. `context`: the request's condition keys.

        Raises LocalcloudError when the simulator cannot work.
        """
        cases = [self._case(caller, need, context) for need in needs]
        for case, verdict in zip(cases, self._verdicts(cases), strict=True):
            if not verdict.is_allowed:
                return Refused(caller=caller.arn, need=case.need, verdict=verdict)
        for case in cases:
            if case.need.action == "iam:CreateServiceLinkedRole":
                self.account.link(case.need.resource)
        return None

    def _case(self, caller: Caller, need: Need, context: Mapping[str, str]) -> Case:
        placed = relocated(need, account=self.account.account, region=self.account.region)
        is_one = placed.resource.startswith("arn:") and "*" not in placed.resource
        tags = self.account.tags(placed.resource) if is_one else {}
        known = {
            **context,
            **caller.context,
            "aws:PrincipalAccount": caller.account,
            "aws:ResourceAccount": self.account.account,
            **{f"aws:ResourceTag/{key}": value for key, value in tags.items()},
            **placed.context,
        }
        resource = self.account.policy(placed.action, placed.resource) if is_one else None
        policies = replace(caller.policies, resource=resource)
        return Case(
            principal=caller.arn,
            account=self.account.account,
            need=Need(action=placed.action, resource=placed.resource, context=_asked_for(known, policies)),
            policies=policies,
        )

    def _verdicts(self, cases: Sequence[Case]) -> list[Verdict]:
        keys = [_key(case) for case in cases]
        with self._lock:
            known = {key: self._decided[key] for key in keys if key in self._decided}
        missing = [case for key, case in zip(keys, cases, strict=True) if key not in known]
        if missing:
            found = dict(zip([_key(case) for case in missing], self.simulator.decide(missing), strict=True))
            known |= found
            with self._lock:
                if len(self._decided) > MOST:
                    self._decided.clear()
                self._decided |= found
        return [known[key] for key in keys]

    # ------------------------------------------------------------------------------------------ for services

    def credentials(self, role: str, session: str) -> Credentials:
        """A session of a role, as a service begins one: the service has checked the role's trust already."""
        with self._lock:
            held, since = self._sessions.get((role, session), (None, self.now()))
            if held is None or self.now() - since > timedelta(seconds=SESSION_SECONDS / 2):
                held = self._begin(role, session)
                self._sessions[role, session] = held, self.now()
        return held

    def _begin(self, role: str, session: str) -> Credentials:
        begun = sts_backends[self.account.account]["aws"].assume_role(
            region_name=self.account.region, role_session_name=session[:64], role_arn=role, policy="",
            duration=SESSION_SECONDS, external_id="",
        )  # fmt: skip
        return Credentials(key=begun.access_key_id, secret=begun.secret_access_key, token=begun.session_token)

    def refusal(self, role: str, session: str, needs: Sequence[Need]) -> str:
        caller = self.identities.of_role(role, session)
        refused = self.first_refused(caller, needs, {})
        return refused.words if refused else ""

    def refusal_of_key(self, key: str, needs: Sequence[Need]) -> str:
        try:
            caller = self.identities.find(key, "", self.now())
        except (UnknownKeyError, ExpiredSessionError):
            return refusals.INVALID_TOKEN
        refused = self.first_refused(caller, needs, {}) if caller else None
        return refused.words if refused else ""

    def add_policies(self, source: Callable[[str], str | None]) -> None:
        self.account.policy_sources.append(source)

    def add_tags(self, source: Callable[[str], Mapping[str, str]]) -> None:
        self.account.tag_sources.append(source)

    def close(self) -> None:
        self.simulator.close()


def _asked_for(known: Mapping[str, str], policies: Policies) -> dict[str, str]:
    """The condition keys that some policy mentions: others change no decision, and would make every request new."""
    text = "".join(policies.all).lower()
    return {key: value for key, value in known.items() if key.lower() in text}


def _key(case: Case) -> tuple[object, ...]:
    context = tuple(sorted((key, str(value)) for key, value in case.need.context.items()))
    return case.principal, case.account, case.need.action, case.need.resource, context, case.policies
