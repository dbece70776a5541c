"""prune: old images of ours out of the engine and, when asked, out of ECR; never one that something starts from."""

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

NEWEST = 5  # pushed images that stay though nothing refers to them: what a rollback by hand would look for
BATCH = 100  # BatchDeleteImage takes no more


@dataclass(frozen=True, kw_only=True)
class PushedImage:
    """One image of a repository, as ECR lists it; the newest have the highest `pushed` (any order that compares)."""

    digest: str
    tags: tuple[str, ...]
    pushed: float


def old_tags(local: Iterable[str], keep: Collection[str], live: Collection[str]) -> list[str]:
    """Images of ours in the engine (`kennel/<kind>:<tag>`) that are neither wanted now nor referred to.

    `live` holds names of the engine's: those of digests too (see `tags_of`).
    """
    return sorted(name for name in local if name not in keep and name not in live)


def old_digests(there: Sequence[PushedImage], tag: str, live: Collection[str]) -> list[str]:
    """What may go of one repository: not the content's own image, nothing that is referred to, not the newest."""
    newest = {image.digest for image in sorted(there, key=lambda image: image.pushed, reverse=True)[:NEWEST]}
    wanted = {tag, tag + REPAIRED}
    kept = newest | {name.partition("@")[2] for name in live} | {i.digest for i in there if wanted & set(i.tags)}
    live_tags = {name.rpartition(":")[2] for name in live if "@" not in name}
    return [image.digest for image in there if image.digest not in kept and not live_tags & set(image.tags)]


def in_engine(run: Run) -> list[str]:
    """Every image of ours in the engine, by its name."""
    status, said = run(["docker", "images", "--filter=reference=kennel/*", "--format={{.Repository}}:{{.Tag}}"])
    if status:
        raise DeployError(f"docker images failed: {said.strip()[-300:]}")
    return [name for name in said.split() if not name.endswith(":<none>")]


def prune(
    session: Session,
    run: Run,
    current: Mapping[ImageKind, str],
    keep: Collection[str],
    *,
    pushed: bool,
    confirm: Callable[[Plan], bool],
) -> None:
    """`current` are the references of the images as they are now, `keep` those of the engine that are in use here.

    Raises DeployError when it is not confirmed.
    """
    live = referenced(session.call)
    lists = {kind: _listed(session, kind) for kind in KINDS}
    steps = [_deletion(session, kind, lists[kind], current[kind], live) for kind in KINDS if pushed]
    gone = Plan(steps=tuple(step for step in steps if step.acts))
    old = old_tags(in_engine(run), {*current.values(), *keep}, live | tags_of(lists, live))
    local = [Step(action="delete", address=f"image/{name}", reason="old", touches="this engine") for name in old]
    if not gone.steps and not local:
        session.screen.say("   nothing is old")
        return
    if not confirm(Plan(steps=(*gone.steps, *local))):
        raise DeployError("nothing was taken away")
    for name in old:
        status, said = run(["docker", "rmi", name], timeout=120)
        session.screen.say(f"   {name} " + ("gone" if status == 0 else f"stays: {said.strip().splitlines()[-1]}"))
    session.apply(gone)


def tags_of(lists: Mapping[ImageKind, Sequence[PushedImage]], live: Collection[str]) -> frozenset[str]:
    """The contents' tags of the digests that are referred to: an engine keeps these too."""
    digests = {name.partition("@")[2] for name in live}
    return frozenset(
        f"kennel/{kind}:{tag.removesuffix(REPAIRED)}"
        for kind, there in lists.items()
        for image in there
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
    session: Session, kind: ImageKind, there: Sequence[PushedImage], current: str, live: Collection[str]
) -> Step:
    name = session.settings.repository_name(kind)
    old = old_digests(there, current.rpartition(":")[2], live)
    acts = tuple(delete_images(name, old[first : first + BATCH]) for first in range(0, len(old), BATCH))
    return Step(action="delete", address=f"images/{name}", reason=f"{len(old)} old images", acts=acts)


def delete_images(repository: str, digests: Sequence[str]) -> Request:
    """The deletion of images by digest, at most 100."""
    params = {"repositoryName": repository, "imageIds": [{"imageDigest": digest} for digest in digests]}
    return ecr("BatchDeleteImage", **params)
