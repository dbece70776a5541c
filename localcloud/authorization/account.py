"""What the account holds and a request's rights depend on: moto's records of networks, tags, profiles and roles."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from localcloud.authorization.identity import tags_of

Source = Callable[[str], str | None]


@dataclass(kw_only=True)
class MotoAccount:
    """One account and region. `tag_sources` and `policy_sources` know the tags and policies (JSON) that moto does not
    keep, by the resource's ARN."""

    account: str
    region: str
    tag_sources: list[Callable[[str], Mapping[str, str]]] = field(default_factory=list)
    policy_sources: list[Source] = field(default_factory=list)
    _linked: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self.account][self.region]

    @property
    def _iam(self) -> Any:
        return iam_backends[self.account]["aws"]

    # ------------------------------------------------------------------------------------------ networks

    def subnets(self, chosen: str | None) -> list[str]:
        if chosen:
            return [chosen]
        return [str(each.id) for each in list(self._ec2.get_default_subnets().values())][:1]

    def security_groups(self, chosen: list[str]) -> list[str]:
        default = self._ec2.get_default_security_group()
        return chosen or ([str(default.id)] if default else [])

    def vpc(self, chosen: str | None) -> str:
        default = self._ec2.get_default_vpc()
        return chosen or (str(default.id) if default else "*")

    # ------------------------------------------------------------------------------------------ roles

    def profile_roles(self, profile: str) -> list[str]:
        found = (each for each in list(self._iam.instance_profiles.values()) if each.name == profile)
        return [str(role.name) for each in found for role in each.roles]

    def boundary(self, role: str) -> str | None:
        found = next((each for each in list(self._iam.roles.values()) if each.name == role), None)
        return found.permissions_boundary_arn or None if found is not None else None

    def has_linked_role(self, arn: str) -> bool:
        with self._lock:
            return arn in self._linked

    def link(self, arn: str) -> None:
        """A service has made its role."""
        with self._lock:
            self._linked.add(arn)

    # ------------------------------------------------------------------------------------------ tags and policies

    def tags(self, arn: str) -> Mapping[str, str]:
        service, name = arn.split(":")[2], arn.split(":", 5)[-1]
        if service == "ec2":
            return dict(self._ec2.tags.get(name.partition("/")[2], {}))
        if service == "iam" and name.startswith("role/"):
            role = next((each for each in list(self._iam.roles.values()) if each.arn == arn), None)
            return tags_of(role) if role is not None else {}
        if service == "ecr":
            tags = ecr_backends[self.account][self.region].tagger.list_tags_for_resource(arn).get("Tags", ())
            return {each["Key"]: each["Value"] for each in tags}
        return {key: value for source in self.tag_sources for key, value in source(arn).items()}

    def policy(self, action: str, arn: str) -> str | None:
        """The policy of the resource itself, as JSON: a bucket's, a repository's, a function's, a role's trust."""
        service, name = arn.split(":")[2] if arn != "*" else "", arn.split(":", 5)[-1]
        if service == "s3":
            bucket = s3_backends[self.account]["aws"].buckets.get(name.partition("/")[0])
            return bucket.policy.decode() if bucket is not None and bucket.policy else None
        if service == "ecr":
            repository = ecr_backends[self.account][self.region].repositories.get(name.partition("/")[2])
            return repository.policy or None if repository is not None else None
        if action == "sts:AssumeRole":
            role = next((each for each in list(self._iam.roles.values()) if each.arn == arn), None)
            return str(role.assume_role_policy_document) if role is not None else None
        return next((held for source in self.policy_sources if (held := source(arn)) is not None), None)
