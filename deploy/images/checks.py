"""The gate that an image passes before it is pushed and after: what its consumer would refuse is refused here. Pure."""

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
    """What decides about an image. `media_type` is its manifest's; before the push it is the one that we will write.
    `size` is the bytes of its files in the engine, of its compressed layers in a registry."""

    media_type: str
    platform: str = ""
    entrypoint: tuple[str, ...] = ()
    size: int = 0


def facts(media_type: str, config: Mapping[str, Any], size: int) -> Facts:
    """From an image's configuration (the JSON that its manifest names)."""
    return Facts(
        media_type=media_type,
        platform=f"{config.get('os', '')}/{config.get('architecture', '')}",
        entrypoint=tuple((config.get("config") or {}).get("Entrypoint") or ()),
        size=size,
    )


def faults(found: Facts, consumer: Consumer, *, platform: str = PLATFORM) -> Iterator[str]:
    """Every reason for which the consumer would refuse the image, each with its fix."""
    mend = "./inv push --repair rewrites it without a rebuild"
    if found.media_type in INDEXES:
        yield f"is an index ({found.media_type}), which {consumer} refuses: {mend} (rules 26, 63; pain 2)"
        return  # of one image among several nothing more is known
    if consumer == "SageMaker" and found.media_type != DOCKER_MANIFEST:
        yield f"has an OCI manifest ({found.media_type}), which SageMaker refuses: {mend} (rule 26; pain 1)"
    if found.platform != platform:
        yield f"is for {found.platform}, and {platform} is asked for: build it with --platform={platform} (pain 3)"
    if not found.entrypoint:
        yield 'has no entrypoint, so it cannot be started with an argument: add ENTRYPOINT ["…"] (rules 1, 25)'
    if found.size > LARGEST:
        yield f"has {found.size / 1e9:.1f} GB, and {LARGEST / 1e9:.0f} are allowed: take something out (pain 18)"


def check(name: str, found: Facts, consumer: Consumer) -> None:
    """Raises ImageRefusedError with every fault."""
    said = [f"{name}: {fault}" for fault in faults(found, consumer)]
    if said:
        raise ImageRefusedError("\n".join(said))
