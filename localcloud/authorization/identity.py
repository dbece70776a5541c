"""Who an access key belongs to, and the policies that they have. moto keeps users, roles and sessions.

Signatures are not verified: localcloud has no secrets of its own to check them with, and the key alone says who calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localcloud.authorization.simulator import Policies
from localcloud.aws_client import CONTAINER, OWN_KEY

# The keys of the account's root, who is not judged: localcloud's own, and those that clients of a local stage use.
ROOT_KEYS = frozenset({OWN_KEY, CONTAINER.key, "local", "kennel-local", "test"})


class UnknownKeyError(Exception):
    """No user and no session has this access key, or it is inactive."""


class ExpiredSessionError(Exception):
    """The session of this access key has expired."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A user or a role's session: their ARN, their policies, and the condition keys about them."""

    arn: str
    account: str
    policies: Policies
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identities:
    """The users and sessions of one account."""

    account: str

    def find(self, key: str, token: str, now: datetime) -> Caller | None:
        """The caller; None for root. Raises UnknownKeyError, ExpiredSessionError."""
        if key in ROOT_KEYS:
            return None
        session = self._session(key)
        if session is not None:
            if token and token != session.session_token:
                raise UnknownKeyError(key)
            if now >= _aware(session.expiration):
                raise ExpiredSessionError(key)
            return self._of_session(session)
        user = next((each for each in list(self._iam.users.values()) if _has_key(each, key)), None)
        if user is None:
            raise UnknownKeyError(key)
        return self._of_user(user)

    @property
    def _iam(self) -> Any:
        return iam_backends[self.account]["aws"]

    def _session(self, key: str) -> Any:
        sessions = sts_backends[self.account]["aws"].assumed_roles
        return next((each for each in reversed(list(sessions)) if each.access_key_id == key), None)

    def of_role(self, arn: str, session: str) -> Caller:
        """A session of a role, as a service begins one."""
        name = arn.rpartition("/")[2]
        return self._of_role(arn, f"arn:aws:sts::{self.account}:assumed-role/{name}/{session[:64]}", policy=None)

    def _of_session(self, session: Any) -> Caller:
        return self._of_role(session.role_arn, session.arn, policy=session.policy or None)

    def _of_role(self, arn: str, session: str, *, policy: str | None) -> Caller:
        """A session of a role that is gone has no rights."""
        role = next((each for each in list(self._iam.roles.values()) if each.arn == arn), None)
        known = {"aws:PrincipalArn": arn, "aws:PrincipalType": "AssumedRole"}
        if role is None:
            return Caller(arn=session, account=self.account, policies=Policies(session=policy), context=known)
        known["aws:userid"] = f"{role.id}:{session.rpartition('/')[2]}"
        tags = {f"aws:PrincipalTag/{key}": value for key, value in tags_of(role).items()}
        policies = Policies(identity=self._documents(role), boundary=self._boundary(role), session=policy)
        return Caller(arn=session, account=self.account, policies=policies, context=known | tags)

    def _of_user(self, user: Any) -> Caller:
        groups = [each for each in list(self._iam.groups.values()) if user in each.users]
        documents = [text for holder in (user, *groups) for text in self._documents(holder)]
        known = {
            "aws:PrincipalArn": user.arn, "aws:userid": user.id, "aws:username": user.name, "aws:PrincipalType": "User",
        }  # fmt: skip
        policies = Policies(identity=tuple(documents), boundary=self._boundary(user))
        tags = {f"aws:PrincipalTag/{each['Key']}": each["Value"] for each in user.tags or ()}
        return Caller(arn=user.arn, account=self.account, policies=policies, context=known | tags)

    def _documents(self, holder: Any) -> tuple[str, ...]:
        """Inline and attached policies of a user, group or role."""
        return (*holder.policies.values(), *(_default(each) for each in holder.managed_policies.values()))

    def _boundary(self, holder: Any) -> str | None:
        """A boundary that is not there allows nothing."""
        arn = getattr(holder, "permissions_boundary_arn", None)
        if not arn:
            return None
        policy = self._iam.managed_policies.get(arn)
        return _default(policy) if policy is not None else '{"Version": "2012-10-17", "Statement": []}'


def tags_of(holder: Any) -> dict[str, str]:
    """The tags of moto's roles and instance profiles, which it keeps by key or as a list."""
    tags = holder.tags or {}
    pairs = tags.values() if isinstance(tags, Mapping) else tags
    return {each["Key"]: each["Value"] for each in pairs}


def _default(policy: Any) -> str:
    """The document of a managed policy's default version."""
    return str(next(each.document for each in policy.versions if each.version_id == policy.default_version_id))


def _has_key(user: Any, key: str) -> bool:
    return any(each.access_key_id == key and each.status == "Active" for each in user.access_keys)


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
