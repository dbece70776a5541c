"""An account as the proof imagines it: everything in it is the stage's, and no service has made a role yet."""

from __future__ import annotations

from collections.abc import Mapping

STAGE = {"kennel:project": "kennel", "kennel:stage": "local"}


class StageAccount:
    """What the stage's account holds. An instance profile bears the name of its role."""

    def profile_roles(self, profile: str) -> list[str]:
        return [profile]

    def subnets(self, chosen: str | None) -> list[str]:
        return [chosen or "subnet-1"]

    def security_groups(self, chosen: list[str]) -> list[str]:
        return chosen or ["sg-1"]

    def vpc(self, chosen: str | None) -> str:
        return chosen or "vpc-1"

    def tags(self, arn: str) -> Mapping[str, str]:
        """Only what the deployer makes has tags: not the subnets that are there before."""
        return {} if "subnet/" in arn or "key-pair/" in arn or arn.endswith("*") else STAGE

    def boundary(self, role: str) -> str | None:
        return None

    def has_linked_role(self, arn: str) -> bool:
        return False
