"""What localcloud keeps of a function: its versions, aliases and settings."""

import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.emulator import Sandbox
from localcloud.awslambda.environments import ConcurrencyLimit, Pool
from localcloud.awslambda.refusals import no_function
from localcloud.containers.engine import Image


@dataclass(kw_only=True, eq=False)
class Release:
    """One version of a function, or $LATEST: its FunctionConfiguration, its image, its environments.

    Only `used_at`, and the states and the revision in `config`, change, under the function's lock. `used_at`: when it
    was last invoked, provisioned or made ready.
    """

    config: Params
    reference: str
    image: Image
    pool: Pool[Sandbox]
    used_at: float


@dataclass(kw_only=True)
class Policy:
    """The resource policy of a function, a version or an alias, with its own revision."""

    statements: list[Params] = field(default_factory=list)
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(kw_only=True, eq=False)
class Function:
    """A function with its versions and settings. `lock` guards every member.

    `published_content`: what $LATEST was when its last version was published. `deleted`: a request that still holds the
    function finds it gone.
    """

    name: str
    arn: str
    latest: Release
    versions: dict[str, Release] = field(default_factory=dict)
    aliases: dict[str, Params] = field(default_factory=dict)
    limit: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)
    provisioned: dict[str, Params] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    urls: dict[str, Params] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    published: int = 0
    published_content: Params = field(default_factory=dict)
    deleted: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def releases(self) -> list[Release]:
        with self.lock:
            return [self.latest, *self.versions.values()]

    def at(self, qualifier: str | None) -> Release:
        """The release of $LATEST, of a version, or of the version that an alias points to. Raises ApiError."""
        with self.lock:
            if qualifier in (None, "", "$LATEST"):
                return self.latest
            version = self.aliases[qualifier]["FunctionVersion"] if qualifier in self.aliases else qualifier
            if version == "$LATEST":
                return self.latest
            if version not in self.versions:
                raise no_function(f"{self.arn}:{qualifier}")
            return self.versions[str(version)]

    def provisioned_by_version(self) -> dict[str, int]:
        """The provisioned concurrency of each version that has some, by itself or through an alias."""
        with self.lock:
            counts: Counter[str] = Counter()
            for qualifier, entry in self.provisioned.items():
                if entry["Status"] != "FAILED":
                    version = self.at(qualifier).config["Version"]
                    counts[version] += entry["RequestedProvisionedConcurrentExecutions"]
            return dict(counts)

    def described(self, qualifier: str | None) -> Params:
        """The configuration at a qualifier, with the ARN by which it was asked for. Raises ApiError."""
        with self.lock:
            arn = {"FunctionArn": f"{self.arn}:{qualifier}"} if qualifier else {}
            return self.at(qualifier).config | arn
