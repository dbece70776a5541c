"""Images as SageMaker and Lambda take them: found in the registry, refused for what they cannot run, pulled.

An image by the local engine's own name is taken as the engine has it; that is localcloud's extension.
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
    """`registry` is None where a test needs the engine alone."""

    engine: Engine
    registry: Registry | None = None

    def check_sagemaker(self, reference: str) -> None:
        """Raise ApiError for an image that SageMaker refuses: an index, an OCI manifest (rule 26), none at all."""
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
        """Raise ApiError for an image that Lambda refuses: an index, another architecture, no right to pull it
        (rules 63, 64)."""
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

    def find(self, reference: str) -> Image | None:
        """The image as the engine holds it, pulled from our registry when it must be. Raises ApiError, EngineError."""
        return self.engine.image(self.runnable(reference))

    def runnable(self, reference: str) -> str:
        """What the engine calls an image: an image of our registry that was pushed from here has its configuration's
        digest as its id; any other is pulled. Raises ApiError, EngineError."""
        stored = self._stored(reference)
        if stored is None or self.registry is None:
            return reference
        identity = str(stored.parsed.get("config", {}).get("digest", ""))
        if identity and self.engine.image(identity) is not None:
            return identity
        if self.engine.image(reference) is None:
            self.engine.pull(reference, username=USER, password=self.registry.tokens.password())
        return reference

    def is_here(self, reference: str) -> bool:
        """Whether our registry or the engine holds it."""
        return self._stored(reference) is not None or self.engine.image(reference) is not None

    def resolved(self, reference: str, image: Image) -> str:
        """The reference by digest: the manifest's in our registry, the engine's own elsewhere."""
        stored = self._stored(reference)
        repository = reference.partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        return f"{repository}@{stored.digest if stored else image.id}"

    def _stored(self, reference: str) -> StoredImage | None:
        """The image in our registry; None for the engine's own. Raises ApiError for one that is not there."""
        if self.registry is None or not self.registry.holds(reference):
            return None
        name, tag, digest = _repository(reference), "", ""
        rest = reference.partition("/")[2].removeprefix(name)
        if rest.startswith("@"):
            digest = rest[1:]
        else:
            tag = rest.removeprefix(":") or "latest"
        found = self.registry.store.find(name, tag=tag, digest=digest)
        if found is None:
            raise ApiError("ValidationException", f"Requested image {reference} not found.")
        return found


def _repository(reference: str) -> str:
    """host:port/NAME:tag or host:port/NAME@digest → NAME."""
    return reference.partition("/")[2].partition("@")[0].partition(":")[0]
