"""The security group of instances that train: no inbound rule at all, or SSH from one's own address only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import ec2
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, is_ours, require_ours, unchanged
from deploy.values import Act, Call, Ref, Request, State, Step, differences

SSH = 22


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A group that should be. `ssh_from` is an address as a /32, or empty; `vpc` is empty for the default one."""

    name: str
    tags: Mapping[str, str]
    ssh_from: str = ""
    vpc: str = ""

    @property
    def address(self) -> str:
        return f"security-group/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"inbound": [f"tcp {SSH} from {self.ssh_from}"] if self.ssh_from else []}

    def read(self, call: Call) -> State | None:
        filters = {"group-name": [self.name], **({"vpc-id": [self.vpc]} if self.vpc else {})}
        found = call(ec2("DescribeSecurityGroups", Filters=_filters(filters)))["SecurityGroups"]
        if not found:
            return None
        inbound = [rule for permission in found[0].get("IpPermissions", ()) for rule in _rules(permission)]
        return State(
            fields={"inbound": sorted(inbound), "permissions": list(found[0].get("IpPermissions", ()))},
            attributes={"id": found[0]["GroupId"]},
            tags=tags_of(found[0].get("Tags", ())),
        )

    def plan(self, seen: State | None) -> Step:
        group = Ref(address=self.address, attribute="id")
        if seen is None:
            acts = (self._create(), *self._allow(group))
            return Step(action="create", address=self.address, reason="does not exist", acts=acts, touches=self._said())
        require_ours(self.address, seen, self.tags)
        changes = differences({"inbound": seen.fields["inbound"]}, self.desired())
        if not changes:
            return unchanged(self.address)
        old = [{key: value for key, value in each.items() if value} for each in seen.fields["permissions"]]
        closed = [ec2("RevokeSecurityGroupIngress", GroupId=group, IpPermissions=old)] if old else []
        acts = (*closed, *self._allow(group))
        return Step(
            action="update", address=self.address, reason="differs", acts=acts, changes=changes, touches=self._said()
        )

    def _create(self) -> Request:
        tags = [{"ResourceType": "security-group", "Tags": tag_list(self.tags)}]
        vpc = {"VpcId": self.vpc} if self.vpc else {}
        request = ec2(
            "CreateSecurityGroup", GroupName=self.name, Description="Kennel: instances that train",
            TagSpecifications=tags, **vpc,
        )  # fmt: skip
        return Request(**{**vars(request), "gives": {f"{self.address}.id": "GroupId"}})

    def _allow(self, group: Ref) -> tuple[Act, ...]:
        if not self.ssh_from:
            return ()
        ranges = [{"CidrIp": self.ssh_from, "Description": "own address only"}]
        permission = {"IpProtocol": "tcp", "FromPort": SSH, "ToPort": SSH, "IpRanges": ranges}
        return (ec2("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission]),)

    def _said(self) -> str:
        return f"lets in: SSH from {self.ssh_from}" if self.ssh_from else "lets nobody in"


def security_group(settings: Settings, *, vpc: str = "") -> SecurityGroup:
    """The group of instances that train."""
    ssh_from = settings.training.ec2.ssh_from
    return SecurityGroup(name=settings.role_name("ec2"), tags=settings.tags, ssh_from=ssh_from, vpc=vpc)


def _rules(permission: Mapping[str, Any]) -> Iterator[str]:
    """A permission's rules in words: anything that is not ours reads differently, so that it is taken away."""
    ports = str(permission.get("FromPort", "all"))
    if permission.get("ToPort", "all") != permission.get("FromPort", "all"):
        ports += f"-{permission['ToPort']}"
    sources = [each["CidrIp"] for each in permission.get("IpRanges", ())]
    sources += [each["CidrIpv6"] for each in permission.get("Ipv6Ranges", ())]
    sources += [str(each.get("GroupId")) for each in permission.get("UserIdGroupPairs", ())]
    sources += [str(each.get("PrefixListId")) for each in permission.get("PrefixListIds", ())]
    yield from (f"{permission['IpProtocol']} {ports} from {source}" for source in sources)


def _filters(values: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": found} for name, found in values.items()]


def _found(settings: Settings, call: Call) -> Iterator[Mapping[str, Any]]:
    filters = _filters({f"tag:{key}": [value] for key, value in settings.tags.items()})
    return pages(call, ec2("DescribeSecurityGroups", Filters=filters), items="SecurityGroups")


def _names(settings: Settings, call: Call) -> Iterator[str]:
    yield from (group["GroupId"] for group in _found(settings, call))


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    found = [tags_of(group.get("Tags", ())) for group in _found(settings, call) if group["GroupId"] == name]
    return found[0] if found and is_ours(found[0], settings.tags) else {}


def _remove(name: str, _: Settings) -> Step:
    return delete(f"security-group/{name}", ec2("DeleteSecurityGroup", GroupId=name))


KIND = ResourceKind(name="security-group", names=_names, tags=_tags, remove=_remove)
