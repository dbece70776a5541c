"""ECR's operations on repositories and tokens.

moto keeps the repositories' records, policies and tags. The registry gives their addresses and holds their images.
"""

from dataclasses import dataclass
from typing import Any

from localcloud.ecr.images import EcrImages
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import Record, mutability, page
from localcloud.errors import ApiError
from localcloud.gateway.caller import ACCESS_KEY
from localcloud.gateway.service import Service

Params = dict[str, Any]

# ECR's own API for uploading layers in parts. Docker and all of Kennel's clients use the registry's protocol instead.
LAYER_PARTS = (
    "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "BatchCheckLayerAvailability",
    "GetDownloadUrlForLayer",
)  # fmt: skip


@dataclass(kw_only=True)
class Ecr:
    """The operations on repositories and authorization tokens."""

    registry: Registry

    def handlers(self) -> dict[str, Any]:
        """Operation → handler."""
        return {
            "GetAuthorizationToken": self.token,
            "CreateRepository": self.create,
            "DescribeRepositories": self.describe,
            "DeleteRepository": self.delete,
            **dict.fromkeys(LAYER_PARTS, self.layers),
        }

    def token(self, _: Params) -> Params:
        """GetAuthorizationToken: user AWS and a password, valid for twelve hours (rule 72)."""
        token, expires = self.registry.tokens.issue(ACCESS_KEY.get())
        endpoint = f"http://{self.registry.address()}"
        return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": endpoint}]}

    def create(self, params: Params) -> Params:
        self.registry.address()  # starts the registry first, so that a failure leaves no record behind
        return {"repository": self._described(self.registry.records.create(params))}

    def describe(self, params: Params) -> Params:
        records = self.registry.records
        names = params.get("repositoryNames")
        chosen = [records.find(name) for name in names] if names else list(records.all().values())
        return page([self._described(record) for record in chosen], params, "repositories")

    def delete(self, params: Params) -> Params:
        """DeleteRepository. Refuses a repository that has images, unless `force`."""
        name, store = params["repositoryName"], self.registry.store
        record = self.registry.records.find(name)
        if store.images(name) and not params.get("force"):
            raise ApiError(
                "RepositoryNotEmptyException",
                f"The repository with name '{name}' in registry with id '{record.registry_id}' cannot be deleted "
                "because it still contains images",
            )
        store.remove(name)
        self.registry.records.delete(name)
        return {"repository": self._described(record)}

    def layers(self, _: Params) -> Params:
        raise ApiError(
            "ServerException", "localcloud takes layers by the registry's own protocol only: use docker push", 500
        )

    def _described(self, record: Record) -> Params:
        return {
            "repositoryArn": record.arn,
            "registryId": record.registry_id,
            "repositoryName": record.name,
            "repositoryUri": f"{self.registry.address()}/{record.name}",
            "createdAt": record.created_at,
            "imageTagMutability": mutability(record),
            "imageTagMutabilityExclusionFilters": record.image_tag_mutability_exclusion_filters,
            "imageScanningConfiguration": record.image_scanning_configuration,
            "encryptionConfiguration": record.encryption_configuration,
        }


def service(registry: Registry) -> Service:
    """ECR for the server."""
    return Service(
        name="ecr",
        handlers={**Ecr(registry=registry).handlers(), **EcrImages(registry=registry).handlers()},
        local={"POST ecr/expire-tokens": lambda _: {"expired": registry.tokens.expire()}},
        close=registry.close,
    )
