"""Images for SageMaker and Lambda: finds them in the registry, refuses what these services refuse, and pulls.

localcloud's extension: a reference may also name an image that only the local engine has.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.containers.engine import Engine, Image
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import allows_lambda
from localcloud.ecr.storage import DOCKER_MANIFEST, LISTS, StoredImage
from localcloud.ecr.tokens import USER
from localcloud.errors import ApiError

_LAMBDA_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of the registry and of the engine. `registry` is None in tests that need the engine only."""

    engine: Engine
    registry: Registry | None = None

    def check_sagemaker(self, reference: str) -> None:
        """Raise ApiError for an image that SageMaker refuses: an index, an OCI manifest (rule 26), a missing image."""
        stored = self._stored(reference)
        if stored is None:
            return
        if stored.media_type != DOCKER_MANIFEST:
            raise ApiError(
                "ValidationException",
                f"Unsupported manifest media type {stored.media_type} for image {reference}. Ensure that valid "
                "manifest media type is used for specified image.",
            )

    def check_lambda(self, reference: str, architecture: str) -> None:
        """Raise ApiError for an image that Lambda refuses (rules 63, 64): an index, another architecture, a missing
        permission to pull it."""
        stored = self._stored(reference)
        if stored is None or self.registry is None:
            return
        if stored.media_type in LISTS:
            raise ApiError(
                "InvalidParameterValueException",
                f"The image manifest, config or layer media type for the source image {reference} is not supported.",
            )
        if not allows_lambda(self.registry.records.find(_repository(reference))):
            raise ApiError(
                "AccessDeniedException",
                "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
                403,
            )
        config = json.loads(self.registry.store.blob(stored.parsed["config"]["digest"]) or b"{}")
        if config.get("architecture") != _LAMBDA_ARCHITECTURES[architecture]:
            raise ApiError(
                "InvalidParameterValueException",
                f"The image {reference} is for {config.get('architecture')}, and the function for {architecture}: "
                "they must be the same.",
            )

    def repository(self, reference: str) -> str | None:
        """The name of the repository that an image lies in; None for an image of the engine."""
        is_here = self.registry is not None and self.registry.holds(reference)
        return _repository(reference) if is_here else None

    def find(self, reference: str) -> Image | None:
        """The engine's image, pulled from the registry if necessary. Raises ApiError, EngineError."""
        return self.engine.image(self.ensure_pulled(reference))

    def ensure_pulled(self, reference: str) -> str:
        """The name under which the engine has an image, pulled if necessary. Raises ApiError, EngineError.

        An image that this engine pushed is still there: its id is the digest of the manifest's configuration.
        """
        stored = self._stored(reference)
        if stored is None or self.registry is None:
            return reference
        identity = str(stored.parsed.get("config", {}).get("digest", ""))
        if identity and self.engine.image(identity) is not None:
            return identity
        if self.engine.image(reference) is None:
            self.engine.pull(reference, username=USER, password=self.registry.tokens.password())
        return reference

    def exists(self, reference: str) -> bool:
        """Whether the registry or the engine has an image."""
        return self._stored(reference) is not None or self.engine.image(reference) is not None

    def resolved(self, reference: str, image: Image) -> str:
        """The reference by digest: the manifest's digest in the registry, else the engine's image id."""
        stored = self._stored(reference)
        repository = reference.partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        return f"{repository}@{stored.digest if stored else image.id}"

    def _stored(self, reference: str) -> StoredImage | None:
        """The image in the registry; None for an image of the engine. Raises ApiError for a missing one."""
        if self.registry is None or not self.registry.holds(reference):
            return None
        name, tag, digest = _repository(reference), "", ""
        rest = reference.partition("/")[2].removeprefix(name)
        if rest.startswith("@"):
            digest = rest[1:]
        else:
            tag = rest.removeprefix(":") or "latest"
        image = self.registry.store.find(name, tag=tag, digest=digest)
        if image is None:
            raise ApiError("ValidationException", f"Requested image {reference} not found.")
        return image


def _repository(reference: str) -> str:
    """host:port/NAME:tag or host:port/NAME@digest → NAME."""
    return reference.partition("/")[2].partition("@")[0].partition(":")[0]
