"""What localcloud's services ask of IAM: credentials of a role for a container, and whether a role may do something."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from localcloud.authorization.needs import Need
from localcloud.aws_client import CONTAINER, Credentials


class Access(Protocol):
    """IAM as services see it."""

    @property
    def is_enforced(self) -> bool:
        """Whether requests are judged."""
        ...

    def credentials(self, role: str, session: str) -> Credentials:
        """Credentials of a role (an ARN) for what a service runs with it. `session` is the session's name."""
        ...

    def refusal(self, role: str, session: str, needs: Sequence[Need]) -> str:
        """Why a role's session may not have a right, in AWS's words; "" when it may have them all."""
        ...

    def refusal_of_key(self, key: str, needs: Sequence[Need]) -> str:
        """The same for whoever has an access key."""
        ...

    def add_policies(self, source: Callable[[str], str | None]) -> None:
        """Register a function that returns the policy (JSON) of a resource by its ARN, if it has one."""
        ...

    def add_tags(self, source: Callable[[str], Mapping[str, str]]) -> None:
        """Register a function that returns a resource's tags by its ARN."""
        ...


class OpenAccess:
    """Everybody may do everything: localcloud without --iam."""

    is_enforced = False

    def credentials(self, role: str, session: str) -> Credentials:  # noqa: ARG002
        return CONTAINER

    def refusal(self, role: str, session: str, needs: Sequence[Need]) -> str:  # noqa: ARG002
        return ""

    def refusal_of_key(self, key: str, needs: Sequence[Need]) -> str:  # noqa: ARG002
        return ""

    def add_policies(self, source: Callable[[str], str | None]) -> None:
        """Ask for no policies."""

    def add_tags(self, source: Callable[[str], Mapping[str, str]]) -> None:
        """Ask for no tags."""


def pull_needs(repository: str) -> list[Need]:
    """What pulling an image needs. `repository` is an ARN."""
    layers = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    return [
        Need(action="ecr:GetAuthorizationToken"),
        *(Need(action=f"ecr:{each}", resource=repository) for each in layers),
    ]
