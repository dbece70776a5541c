"""What ECR holds of our images: an image is found by its content's tag, and referred to by its digest."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.aws.client import lookup
from deploy.aws.requests import ecr
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.images.manifest import ACCEPTED, Manifest, read
from deploy.images.recipe import ImageKind
from deploy.values import Call, Request

REPAIRED = "-docker"  # tags are immutable, so an image whose manifest was rewritten has a tag of its own


def get_images(repository: str, names: Sequence[dict[str, str]]) -> Request:
    """The manifests with these tags or digests, as they lie there."""
    params = {"repositoryName": repository, "imageIds": list(names), "acceptedMediaTypes": list(ACCEPTED)}
    return ecr("BatchGetImage", **params)


def manifest(settings: Settings, call: Call, kind: ImageKind, tag: str) -> Manifest | None:
    """The manifest that was pushed with a content's tag, the repaired one where it was repaired; None without any."""
    tags = [{"imageTag": tag + REPAIRED}, {"imageTag": tag}]
    answer = lookup(call, get_images(settings.repository_name(kind), tags)) or {}
    found = {image["imageId"]["imageTag"]: image for image in answer.get("images", ())}
    best = found.get(tag + REPAIRED) or found.get(tag)
    if best is None:
        return None
    return read(str(best["imageManifest"]).encode(), str(best.get("imageManifestMediaType", "")))


def uri(settings: Settings, call: Call, kind: ImageKind, tag: str) -> str:
    """What a pushed image is pulled by, `<repositoryUri>@sha256:…`; empty when it was not pushed."""
    found = manifest(settings, call, kind, tag)
    return f"{repository_uri(settings, call, kind)}@{found.digest}" if found else ""


def repository_uri(settings: Settings, call: Call, kind: ImageKind) -> str:
    """Where the repository of an image is. Raises DeployError when it is not there."""
    name = settings.repository_name(kind)
    found = lookup(call, ecr("DescribeRepositories", repositoryNames=[name]))
    if found is None:
        raise DeployError(f"repository/{name}: does not exist; run ./inv push --image {kind}")
    return str(found["repositories"][0]["repositoryUri"])
