"""One command's work on one stage: settings, the AWS client, image builds, the screen and the stage's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.aws.client import Clock, is_denied
from deploy.aws.lock import Holder, Lock
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import AwsError, DeployError
from deploy.images import pushed
from deploy.images.facts import ImageFacts
from deploy.images.recipe import kind_named
from deploy.planning.apply import apply
from deploy.planning.observe import observe
from deploy.planning.plan import plan
from deploy.planning.resource import Resource
from deploy.storage.bucket import Bucket, bucket
from deploy.values import Call, Plan, State, Step

Build = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as AWS knows it. `uri` is where AWS pulls it from (by digest once pushed), `tag` names its content."""

    uri: str
    tag: str


@dataclass(kw_only=True)
class Session:
    """What every command works with.

    `build` builds an image of a kind, or finds it built, and returns its local reference; `facts_of` reads what is
    known of such a reference. `check_account` returns the identity of the credentials, and raises DeployError when
    they belong to another account.

    All fields stay as they were given, except two. `_has_begun`: this command has printed where it acts. `_is_locked`:
    this command holds the stage's lock, so that a change inside another does not wait for itself.
    """

    settings: Settings
    call: Call
    build: Build
    screen: Screen
    clock: Clock = field(default_factory=Clock)
    check_account: Callable[[], object] = lambda: None
    facts_of: Callable[[str], ImageFacts] = lambda _: ImageFacts()
    holder: Holder = field(default_factory=Holder)
    _has_begun: bool = field(default=False, init=False)
    _is_locked: bool = field(default=False, init=False)

    def plan(self, resources: Sequence[Resource]) -> Plan:
        """Reads the resources from AWS and plans; changes nothing. Raises DeployError."""
        return plan(resources, observe(resources, self.call))

    def settle(self, resources: Sequence[Resource], planned: Plan | None = None) -> Plan:
        """Plans and applies; returns the plan that was applied. Raises DeployError.

        `planned` is what `plan` returned for these resources, where the caller has looked at it already. When it
        changes something the resources are read and planned again under the lock, because another command may have
        changed the stage since.
        """
        todo = planned or self.plan(resources)
        if todo.changes:
            with self.changing():
                todo = self.plan(resources)
                apply(todo, self.call, clock=self.clock, say=self._report)
        return todo

    def apply(self, todo: Plan) -> None:
        """Runs a plan as it is, and prints each step. Raises DeployError."""
        if todo.changes:
            with self.changing(make_bucket=False):
                apply(todo, self.call, clock=self.clock, say=self._report)

    def begin_changes(self) -> None:
        """Prints which stage and account this command changes, once. Raises DeployError when the credentials belong to
        another account."""
        if not self._has_begun:
            identity, settings = self.check_account(), self.settings
            where = settings.stage.endpoint_url or "AWS"
            as_whom = f", as {identity}" if identity else ""
            stage = f"stage {settings.stage_name}: account {settings.stage.account}, {settings.stage.region}"
            self.screen.say(f"   {stage}, {where}{as_whom}")
            self._has_begun = True

    @contextmanager
    def changing(self, *, make_bucket: bool = True) -> Iterator[None]:
        """Holds the stage's lock: a second command that changes the stage waits. The lock is an object in the stage's
        bucket. A missing bucket is made first; without `make_bucket` there is then nothing to lock, nor where somebody
        else has the bucket of that name."""
        self.begin_changes()
        ours = bucket(self.settings)
        observed = None if self._is_locked else self._read(ours, or_none=not make_bucket)
        if self._is_locked or (observed is None and not make_bucket):
            yield
            return
        apply(Plan(steps=(ours.plan(observed),)), self.call, clock=self.clock, say=self._report)
        lock = Lock(call=self.call, bucket=ours.name, holder=self.holder, say=self.screen.say, clock=self.clock)
        with lock:
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def _read(self, ours: Bucket, *, or_none: bool) -> State | None:
        """The bucket's state; with `or_none` None, and a line, where these credentials may not read it."""
        try:
            return ours.read(self.call)
        except AwsError as error:
            if not or_none or not is_denied(error):
                raise
            self.screen.say(f"   {ours.address}: may not be read, so other commands do not wait for this one")
            return None

    def image(self, kind: str) -> Image:
        """The image of a kind (train, serve or lambda) as this stage's AWS refers to it. Raises DeployError."""
        reference = self.build(kind)
        tag = reference.rpartition(":")[2]
        if uri := pushed.uri(self.settings, self.call, kind_named(kind), tag):
            return Image(uri=uri, tag=tag)
        if self.settings.stage.engine_images:
            return Image(uri=reference, tag=tag)
        raise DeployError(f"image {reference}: not pushed yet; run ./inv push --image {kind}")

    def image_facts(self, kind: str) -> ImageFacts:
        """What is known of the image of a kind."""
        return self.facts_of(self.build(kind))

    def _report(self, step: Step, status: str) -> None:
        self.screen.say(f"   {step.action} {step.address} {status}")
