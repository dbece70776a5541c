"""push: the images to ECR, through the gate before and after; what is there is not pushed again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.errors import ImageRefusedError, PushError
from deploy.images import checks, pushed
from deploy.images.manifest import Manifest, repaired
from deploy.images.push import Pusher, Target, seen
from deploy.images.recipe import PLATFORM, ImageKind
from deploy.images.registry import Registry
from deploy.images.repository import repository
from deploy.session import Session


@dataclass(frozen=True, kw_only=True)
class Pushing:
    """One push's parts: `sender` reads the engine, `registry` speaks to ECR's; `repair` mends manifests there."""

    session: Session
    pusher: Pusher
    registry: Registry
    repair: bool = False

    def push(self, kinds: Sequence[ImageKind]) -> dict[ImageKind, str]:
        """Returns what each image is pulled by from now on. Raises ImageRefusedError, PushError.

        Every image passes the gate before the first byte of any is sent.
        """
        settings, session = self.session.settings, self.session
        references = {kind: session.build(kind) for kind in kinds}
        for kind, reference in references.items():
            checks.check(reference, self.pusher.facts(reference), checks.CONSUMERS[kind])
        session.settle([repository(settings, kind) for kind in kinds])
        uris: dict[ImageKind, str] = {}
        for kind, reference in references.items():
            found = self._settle(kind, reference)
            uris[kind] = f"{pushed.repository_uri(settings, session.call, kind)}@{found.digest}"
            session.screen.say(f"   {uris[kind]}")
        return uris

    def _settle(self, kind: ImageKind, reference: str) -> Manifest:
        """The manifest by which an image is referred to: found there, repaired, or sent now."""
        session, name = self.session, self.session.settings.repository_name(kind)
        tag = reference.rpartition(":")[2]
        found = pushed.manifest(session.settings, session.call, kind, tag)
        if found is not None and self.repair:
            found = self._repaired(found, kind, tag)
        if found is not None:
            session.screen.say(f"   {reference} is there")
        else:
            session.begin_changes()
            with session.screen.bar(f"{kind} MB") as progress:
                self.pusher.send(reference, Target(registry=self.registry, repository=name, tag=tag), progress=progress)
            found = pushed.manifest(session.settings, session.call, kind, tag)
        if found is None:
            raise PushError(f"{name}:{tag}: was pushed and is not there; run ./inv push --image {kind} again")
        checks.check(f"{name}:{tag}", seen(self.registry, name, found), checks.CONSUMERS[kind])
        return found

    def _repaired(self, found: Manifest, kind: ImageKind, tag: str) -> Manifest:
        """The manifest under Docker's types. Tags are immutable: a rewritten one gets a tag beside the first."""
        session, name = self.session, self.session.settings.repository_name(kind)
        if not any(checks.faults(seen(self.registry, name, found), checks.CONSUMERS[kind])):
            return found
        single = found
        if found.is_index:
            entry = self.registry.manifest(name, found.entry(PLATFORM))
            if entry is None:
                raise ImageRefusedError(f"{name}:{tag}: its index names an image that is not there; push it again")
            single = entry
        mended = repaired(single)
        session.begin_changes()
        self.registry.put(name, tag + pushed.REPAIRED, mended)
        session.screen.say(f"   {name}:{tag}: {found.media_type} rewritten as {mended.media_type}")
        return mended


def push(
    session: Session, kinds: Sequence[ImageKind], connect: Callable[[Session], tuple[Pusher, Registry]], *, repair: bool
) -> dict[ImageKind, str]:
    """Pushes what is not there. `connect` makes the doors to the engine and to the registry."""
    pusher, registry = connect(session)
    return Pushing(session=session, pusher=pusher, registry=registry, repair=repair).push(kinds)
