"""moto's records of ECR repositories: tags, policies, lifecycle and settings. The registry holds the images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.ecr.models import ecr_backends

from localcloud.errors import ApiError

# A record is moto's Repository, which has no types.
Record = Any


@dataclass(frozen=True, kw_only=True)
class Records:
    """The repositories of one account and region."""

    account: str
    region: str

    def all(self) -> dict[str, Record]:
        """Every repository by name."""
        repositories: dict[str, Record] = self._backend.repositories
        return repositories

    def find(self, name: str) -> Record:
        """One repository. Raises ApiError RepositoryNotFoundException."""
        if name not in self.all():
            raise ApiError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{self.account}'",
            )
        return self.all()[name]

    def create(self, params: Mapping[str, Any]) -> Record:
        """A new repository from CreateRepository's parameters. Raises ApiError."""
        name = params["repositoryName"]
        if name in self.all():
            raise ApiError(
                "RepositoryAlreadyExistsException",
                f"The repository with name '{name}' already exists in the registry with id '{self.account}'",
            )
        return self._backend.create_repository(
            repository_name=name,
            registry_id=params.get("registryId"),
            encryption_config=params.get("encryptionConfiguration"),
            image_scan_config=params.get("imageScanningConfiguration"),
            image_tag_mutability=params.get("imageTagMutability"),
            image_tag_mutability_exclusion_filters=params.get("imageTagMutabilityExclusionFilters"),
            tags=params.get("tags", []),
        )

    def delete(self, name: str) -> None:
        self._backend.delete_repository(name, None, force=True)

    def findings(self, name: str, image_id: Mapping[str, str]) -> dict[str, Any] | None:
        """An image's scan results that a client posted to moto's /moto-api/static/ecr/scan-finding-results, if any."""
        for result in reversed(self._backend.scan_finding_results):
            scanned = {key: value for key, value in result.get("imageId", {}).items() if value}
            if result["repositoryName"] == name and scanned.items() <= image_id.items():
                findings: dict[str, Any] = result["imageScanFindings"]
                return findings
        return None

    @property
    def _backend(self) -> Any:
        return ecr_backends[self.account][self.region]


def is_immutable(record: Record, tag: str) -> bool:
    """Whether a tag of a repository is immutable (rule 73). Exclusion filters are wildcard patterns."""
    excluded = any(fnmatchcase(tag, each["filter"]) for each in record.image_tag_mutability_exclusion_filters or ())
    mode = mutability(record)
    return excluded if mode == "MUTABLE_WITH_EXCLUSION" else mode.startswith("IMMUTABLE") and not excluded


def mutability(record: Record) -> str:
    """IMMUTABLE, MUTABLE or one of them with exclusions. moto keeps an enum or a string."""
    return str(getattr(record.image_tag_mutability, "value", record.image_tag_mutability))


def allows_lambda(record: Record) -> bool:
    """Whether a repository's policy lets Lambda pull (rule 64)."""
    return any(
        statement.get("Effect") == "Allow" and "lambda.amazonaws.com" in _listed(_services(statement))
        for statement in _listed(json.loads(record.policy or "{}").get("Statement", []))
    )


def _services(statement: Mapping[str, Any]) -> Any:
    principal = statement.get("Principal")
    return principal.get("Service") if isinstance(principal, dict) else principal


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def page(rows: list[dict[str, Any]], params: Mapping[str, Any], out: str) -> dict[str, Any]:
    """One page of a listing: maxResults rows, 100 by default. nextToken is an offset."""
    first = int(params.get("nextToken") or 0)
    last = first + int(params.get("maxResults") or 100)
    return {out: rows[first:last], "nextToken": str(last) if last < len(rows) else None}
