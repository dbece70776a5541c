"""Security groups that are open to the internet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deploy.audit.finding import Finding
from deploy.aws.client import pages
from deploy.aws.requests import ec2
from deploy.values import Call

INTERNET = ("0.0.0.0/0", "::/0")
PUBLIC = {(80, 80), (443, 443)}  # HTTP and HTTPS are often meant to be public


def look(call: Call, _: datetime) -> Iterator[Finding]:
    """Every open rule. Raises AwsError where these credentials may not look."""
    for group in pages(call, ec2("DescribeSecurityGroups"), items="SecurityGroups"):
        yield from security_group(group)


def security_group(group: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each range of ports that is open to the internet. Pure."""
    for rule in group.get("IpPermissions", ()):
        ranges = [each["CidrIp"] for each in rule.get("IpRanges", ())]
        ranges += [each["CidrIpv6"] for each in rule.get("Ipv6Ranges", ())]
        if not set(ranges) & set(INTERNET):
            continue
        protocol, ports = rule.get("IpProtocol", "-1"), (rule.get("FromPort", 0), rule.get("ToPort", 65535))
        everything = protocol == "-1"
        cidr = next(each for each in ranges if each in INTERNET)
        what = "every port" if everything else f"port {'–'.join(str(port) for port in dict.fromkeys(ports))}"
        arguments = (
            f"--protocol {protocol}" + ("" if everything else f" --port {ports[0]}-{ports[1]}") + f" --cidr {cidr}"
        )
        yield Finding(
            severity="medium" if ports in PUBLIC and not everything else "high",
            what=f"security-group/{group['GroupId']}",
            finding=f"{group.get('GroupName', '')}: {what} is open to {cidr}",
            fix=f"aws ec2 revoke-security-group-ingress --group-id {group['GroupId']} {arguments}",
        )
