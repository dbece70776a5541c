"""The security group of instances that train: no inbound rule, or SSH from one address."""

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
    """The desired group. `ssh_from` is an address as a /32, or empty; `vpc` is empty for the default VPC."""

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
        groups = call(ec2("DescribeSecurityGroups", Filters=_filters(filters)))["SecurityGroups"]
        if not groups:
            return None
        permissions = list(groups[0].get("IpPermissions", ()))
        inbound = [rule for permission in permissions for rule in _rules(permission)]
        return State(
            fields={"inbound": sorted(inbound), "permissions": permissions},
            attributes={"id": groups[0]["GroupId"]},
            tags=tags_of(groups[0].get("Tags", ())),
        )

    def plan(self, observed: State | None) -> Step:
        group = Ref(address=self.address, attribute="id")
        if observed is None:
            acts = (self._create(), *self._allow(group))
            return Step(
                action="create", address=self.address, reason="does not exist", acts=acts, touches=self._access()
            )
        require_ours(self.address, observed, self.tags)
        changes = differences({"inbound": observed.fields["inbound"]}, self.desired())
        if not changes:
            return unchanged(self.address)
        old = [{key: value for key, value in each.items() if value} for each in observed.fields["permissions"]]
        closed = [ec2("RevokeSecurityGroupIngress", GroupId=group, IpPermissions=old)] if old else []
        acts = (*closed, *self._allow(group))
        return Step(
            action="update", address=self.address, reason="differs", acts=acts, changes=changes, touches=self._access()
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

    def _access(self) -> str:
        return f"allows SSH from {self.ssh_from}" if self.ssh_from else "allows no inbound traffic"


def security_group(settings: Settings, *, vpc: str = "") -> SecurityGroup:
    """The stage's security group for instances that train."""
    ssh_from = settings.training.ec2.ssh_from
    return SecurityGroup(name=settings.role_name("ec2"), tags=settings.tags, ssh_from=ssh_from, vpc=vpc)


def _rules(permission: Mapping[str, Any]) -> Iterator[str]:
    """A permission's rules as text. A rule that differs from the desired text is revoked."""
    ports = str(permission.get("FromPort", "all"))
    if permission.get("ToPort", "all") != permission.get("FromPort", "all"):
        ports += f"-{permission['ToPort']}"
    sources = [each["CidrIp"] for each in permission.get("IpRanges", ())]
    sources += [each["CidrIpv6"] for each in permission.get("Ipv6Ranges", ())]
    sources += [str(each.get("GroupId")) for each in permission.get("UserIdGroupPairs", ())]
    sources += [str(each.get("PrefixListId")) for each in permission.get("PrefixListIds", ())]
    yield from (f"{permission['IpProtocol']} {ports} from {source}" for source in sources)


def _filters(values: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": each} for name, each in values.items()]


def _groups(settings: Settings, call: Call) -> Iterator[Mapping[str, Any]]:
    filters = _filters({f"tag:{key}": [value] for key, value in settings.tags.items()})
    return pages(call, ec2("DescribeSecurityGroups", Filters=filters), items="SecurityGroups")


def _names(settings: Settings, call: Call) -> Iterator[str]:
    yield from (group["GroupId"] for group in _groups(settings, call))


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    tags = next((tags_of(group.get("Tags", ())) for group in _groups(settings, call) if group["GroupId"] == name), {})
    return tags if is_ours(tags, settings.tags) else {}


def _remove(name: str, _: Settings) -> Step:
    return delete(f"security-group/{name}", ec2("DeleteSecurityGroup", GroupId=name))


KIND = ResourceKind(name="security-group", names=_names, tags=_tags, remove=_remove)
