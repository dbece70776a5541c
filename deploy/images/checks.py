"""Checks an image before and after its push: refuses what SageMaker or Lambda would refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.errors import ImageRefusedError
from deploy.images.manifest import DOCKER_MANIFEST, INDEXES
from deploy.images.recipe import PLATFORM, ImageKind

Consumer = Literal["SageMaker", "Lambda"]
CONSUMERS: Mapping[ImageKind, Consumer] = {"train": "SageMaker", "serve": "SageMaker", "lambda": "Lambda"}
LARGEST = 10 * 10**9  # bytes (rules 45, 63; pain 18)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The properties that are checked. `media_type` is the manifest's; before the push, that of the manifest that we
    will write. `size` in bytes: of the files for an image in the engine, of the compressed layers in a registry."""

    media_type: str
    platform: str = ""
    entrypoint: tuple[str, ...] = ()
    size: int = 0


def facts(media_type: str, config: Mapping[str, Any], size: int) -> Facts:
    """The properties in an image's configuration (the JSON that its manifest names)."""
    return Facts(
        media_type=media_type,
        platform=f"{config.get('os', '')}/{config.get('architecture', '')}",
        entrypoint=tuple((config.get("config") or {}).get("Entrypoint") or ()),
        size=size,
    )


def faults(image: Facts, consumer: Consumer, *, platform: str = PLATFORM) -> Iterator[str]:
    """Every reason why the consumer would refuse the image, each with its fix."""
    fix = "./inv push --repair rewrites the manifest without a rebuild"
    if image.media_type in INDEXES:  # rules 26, 63; pain 2
        yield f"is an index ({image.media_type}), which {consumer} refuses: {fix}"
        return  # an index says nothing more about its images
    if consumer == "SageMaker" and image.media_type != DOCKER_MANIFEST:  # rule 26; pain 1
        yield f"has an OCI manifest ({image.media_type}), which SageMaker refuses: {fix}"
    if image.platform != platform:  # pain 3
        yield f"is for {image.platform}, not {platform}: build it with --platform={platform}"
    if not image.entrypoint:  # rules 1, 25
        yield 'has no entrypoint, so it cannot start with an argument: add ENTRYPOINT ["…"]'
    if image.size > LARGEST:  # pain 18
        yield f"has {image.size / 1e9:.1f} GB, and {LARGEST / 1e9:.0f} are allowed: remove something"


def check(name: str, image: Facts, consumer: Consumer) -> None:
    """Raises ImageRefusedError with every fault."""
    lines = [f"{name}: {fault}" for fault in faults(image, consumer)]
    if lines:
        raise ImageRefusedError("\n".join(lines))
