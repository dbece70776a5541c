"""prune: deletes our old images from the engine and, with --pushed, from ECR; never an image in use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.aws.client import lookup, pages
from deploy.aws.requests import ecr
from deploy.errors import DeployError
from deploy.images.engine import Run
from deploy.images.pushed import REPAIRED
from deploy.images.recipe import KINDS, ImageKind
from deploy.images.referenced import referenced
from deploy.session import Session
from deploy.values import Plan, Request, Step

NEWEST = 5  # pushed images that stay though unused, for a rollback by hand
BATCH = 100  # the most images that BatchDeleteImage takes


@dataclass(frozen=True, kw_only=True)
class PushedImage:
    """One image of a repository, as ECR lists it. `pushed` is the time of its push; only the order counts."""

    digest: str
    tags: tuple[str, ...]
    pushed: float


def old_tags(local: Iterable[str], keep: Collection[str], live: Collection[str]) -> list[str]:
    """Our images in the engine (`kennel/<kind>:<tag>`) that are neither current nor in use.

    `live` holds names in the engine, also of images in use by digest (see `tags_of`).
    """
    return sorted(name for name in local if name not in keep and name not in live)


def old_digests(images: Sequence[PushedImage], tag: str, live: Collection[str]) -> list[str]:
    """The images of a repository to delete: not the current one (`tag`), none in use, none of the newest."""
    newest = {image.digest for image in sorted(images, key=lambda image: image.pushed, reverse=True)[:NEWEST]}
    current = {tag, tag + REPAIRED}
    kept = newest | {name.partition("@")[2] for name in live} | {i.digest for i in images if current & set(i.tags)}
    live_tags = {name.rpartition(":")[2] for name in live if "@" not in name}
    return [image.digest for image in images if image.digest not in kept and not live_tags & set(image.tags)]


def in_engine(run: Run) -> list[str]:
    """The names of our images in the engine."""
    status, output = run(["docker", "images", "--filter=reference=kennel/*", "--format={{.Repository}}:{{.Tag}}"])
    if status:
        raise DeployError(f"docker images failed: {output.strip()[-300:]}")
    return [name for name in output.split() if not name.endswith(":<none>")]


def prune(
    session: Session,
    run: Run,
    current: Mapping[ImageKind, str],
    keep: Collection[str],
    *,
    pushed: bool,
    confirm: Callable[[Plan], bool],
) -> None:
    """Deletes old images. `current` are the references of the current images, `keep` other ones to keep in the engine.

    Raises DeployError when it is not confirmed.
    """
    live = referenced(session.settings, session.call)
    lists = {kind: _listed(session, kind) for kind in KINDS}
    steps = [_deletion(session, kind, lists[kind], current[kind], live) for kind in KINDS if pushed]
    remote = Plan(steps=tuple(step for step in steps if step.acts))
    old = old_tags(in_engine(run), {*current.values(), *keep}, live | tags_of(lists, live))
    local = [Step(action="delete", address=f"image/{name}", reason="old", touches="this engine") for name in old]
    if not remote.steps and not local:
        session.screen.say("   no old images")
        return
    if not confirm(Plan(steps=(*remote.steps, *local))):
        raise DeployError("nothing was deleted")
    for name in old:
        status, output = run(["docker", "rmi", name], timeout=120)
        session.screen.say(
            f"   {name} " + ("deleted" if status == 0 else f"not deleted: {output.strip().splitlines()[-1]}")
        )
    session.apply(remote)


def tags_of(lists: Mapping[ImageKind, Sequence[PushedImage]], live: Collection[str]) -> frozenset[str]:
    """The names in the engine of images that are in use by digest."""
    digests = {name.partition("@")[2] for name in live}
    return frozenset(
        f"kennel/{kind}:{tag.removesuffix(REPAIRED)}"
        for kind, images in lists.items()
        for image in images
        if image.digest in digests
        for tag in image.tags
    )


def _listed(session: Session, kind: ImageKind) -> list[PushedImage]:
    name = session.settings.repository_name(kind)
    if lookup(session.call, _describe(name)) is None:
        return []
    return [
        PushedImage(
            digest=str(image["imageDigest"]),
            tags=tuple(image.get("imageTags", ())),
            pushed=image["imagePushedAt"].timestamp(),
        )
        for image in pages(session.call, _describe(name), items="imageDetails", token=("nextToken", "nextToken"))
    ]


def _describe(repository: str) -> Request:
    return ecr("DescribeImages", repositoryName=repository)


def _deletion(
    session: Session, kind: ImageKind, images: Sequence[PushedImage], current: str, live: Collection[str]
) -> Step:
    name = session.settings.repository_name(kind)
    old = old_digests(images, current.rpartition(":")[2], live)
    acts = tuple(delete_images(name, old[first : first + BATCH]) for first in range(0, len(old), BATCH))
    return Step(action="delete", address=f"images/{name}", reason=f"{len(old)} old images", acts=acts)


def delete_images(repository: str, digests: Sequence[str]) -> Request:
    """The request that deletes up to 100 images by digest."""
    params = {"repositoryName": repository, "imageIds": [{"imageDigest": digest} for digest in digests]}
    return ecr("BatchDeleteImage", **params)
