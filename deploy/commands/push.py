"""push: pushes images to ECR and checks them before and after. An image that ECR has is not pushed again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.errors import ImageRefusedError, PushError
from deploy.images import checks, pushed
from deploy.images.manifest import Manifest, repaired
from deploy.images.push import Pusher, Target, registry_facts
from deploy.images.recipe import PLATFORM, ImageKind
from deploy.images.registry import Registry
from deploy.images.repository import repository
from deploy.session import Session


@dataclass(frozen=True, kw_only=True)
class ImagePush:
    """One push: `pusher` reads the engine, `registry` is ECR's. `repair` rewrites manifests that were pushed as OCI."""

    session: Session
    pusher: Pusher
    registry: Registry
    repair: bool = False

    def push(self, kinds: Sequence[ImageKind]) -> dict[ImageKind, str]:
        """Pushes the images; returns the URI to pull each by. Raises ImageRefusedError, PushError.

        All images are checked before the first byte is sent.
        """
        settings, session = self.session.settings, self.session
        references = {kind: session.build(kind) for kind in kinds}
        for kind, reference in references.items():
            checks.check(reference, self.pusher.facts(reference), checks.CONSUMERS[kind])
        session.settle([repository(settings, kind) for kind in kinds])
        uris: dict[ImageKind, str] = {}
        for kind, reference in references.items():
            manifest = self._push(kind, reference)
            uris[kind] = f"{pushed.repository_uri(settings, session.call, kind)}@{manifest.digest}"
            session.screen.say(f"   {uris[kind]}")
        return uris

    def _push(self, kind: ImageKind, reference: str) -> Manifest:
        """The manifest to refer to an image by: the one in ECR, a repaired one, or one pushed now."""
        session, name = self.session, self.session.settings.repository_name(kind)
        tag = reference.rpartition(":")[2]
        manifest = pushed.manifest(session.settings, session.call, kind, tag)
        if manifest is not None and self.repair:
            manifest = self._repaired(manifest, kind, tag)
        if manifest is not None:
            session.screen.say(f"   {reference} already pushed")
        else:
            session.begin_changes()
            with session.screen.bar(f"{kind} MB") as progress:
                self.pusher.send(reference, Target(registry=self.registry, repository=name, tag=tag), progress=progress)
            manifest = pushed.manifest(session.settings, session.call, kind, tag)
        if manifest is None:
            raise PushError(f"{name}:{tag}: pushed, but ECR does not list it; run ./inv push --image {kind} again")
        checks.check(f"{name}:{tag}", registry_facts(self.registry, name, manifest), checks.CONSUMERS[kind])
        return manifest

    def _repaired(self, manifest: Manifest, kind: ImageKind, tag: str) -> Manifest:
        """The manifest with Docker's media types. Tags are immutable, so a rewritten manifest gets a second tag."""
        session, name = self.session, self.session.settings.repository_name(kind)
        if not any(checks.faults(registry_facts(self.registry, name, manifest), checks.CONSUMERS[kind])):
            return manifest
        single = manifest
        if manifest.is_index:
            entry = self.registry.manifest(name, manifest.entry(PLATFORM))
            if entry is None:
                raise ImageRefusedError(f"{name}:{tag}: its index names an image that does not exist; push it again")
            single = entry
        rewritten = repaired(single)
        session.begin_changes()
        self.registry.put(name, tag + pushed.REPAIRED, rewritten)
        session.screen.say(f"   {name}:{tag}: {manifest.media_type} rewritten as {rewritten.media_type}")
        return rewritten


def push(
    session: Session, kinds: Sequence[ImageKind], connect: Callable[[Session], tuple[Pusher, Registry]], *, repair: bool
) -> dict[ImageKind, str]:
    """Pushes missing images. `connect` makes the clients of the engine and of the registry."""
    pusher, registry = connect(session)
    return ImagePush(session=session, pusher=pusher, registry=registry, repair=repair).push(kinds)
