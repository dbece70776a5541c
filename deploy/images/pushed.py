"""Our images in ECR: looked up by the tag of their content, referred to by digest."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.aws.client import lookup
from deploy.aws.requests import ecr
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.images.manifest import ACCEPTED, Manifest, read
from deploy.images.recipe import ImageKind
from deploy.values import Call, Request

REPAIRED = "-docker"  # suffix of a rewritten manifest's tag; tags are immutable, so it needs its own


def get_images(repository: str, names: Sequence[dict[str, str]]) -> Request:
    """The request for the manifests with these tags or digests, without any conversion."""
    params = {"repositoryName": repository, "imageIds": list(names), "acceptedMediaTypes": list(ACCEPTED)}
    return ecr("BatchGetImage", **params)


def manifest(settings: Settings, call: Call, kind: ImageKind, tag: str) -> Manifest | None:
    """The manifest pushed with this tag, or its rewritten version if there is one; None without both."""
    tags = [{"imageTag": tag + REPAIRED}, {"imageTag": tag}]
    answer = lookup(call, get_images(settings.repository_name(kind), tags)) or {}
    images = {image["imageId"]["imageTag"]: image for image in answer.get("images", ())}
    image = images.get(tag + REPAIRED) or images.get(tag)
    if image is None:
        return None
    return read(str(image["imageManifest"]).encode(), str(image.get("imageManifestMediaType", "")))


def uri(settings: Settings, call: Call, kind: ImageKind, tag: str) -> str:
    """The URI to pull an image by, `<repositoryUri>@sha256:…`; empty for an image that is not pushed."""
    image = manifest(settings, call, kind, tag)
    return f"{repository_uri(settings, call, kind)}@{image.digest}" if image else ""


def repository_uri(settings: Settings, call: Call, kind: ImageKind) -> str:
    """The URI of an image's repository. Raises DeployError without a repository."""
    name = settings.repository_name(kind)
    answer = lookup(call, ecr("DescribeRepositories", repositoryNames=[name]))
    if answer is None:
        raise DeployError(f"repository/{name}: does not exist; run ./inv push --image {kind}")
    return str(answer["repositories"][0]["repositoryUri"])
