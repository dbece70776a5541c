"""One command's session with one stage: its settings, the doors to AWS and to images, and the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.aws.client import Clock
from deploy.aws.lock import Holder, Lock
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.images import pushed
from deploy.images.facts import ImageFacts
from deploy.images.recipe import kind_named
from deploy.planning.apply import apply
from deploy.planning.observe import observe
from deploy.planning.plan import plan
from deploy.planning.resource import Resource
from deploy.storage.bucket import bucket
from deploy.values import Call, Plan, Step

Build = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as AWS is told of it: `uri` says where it is pulled from (by digest once pushed), `tag` its content."""

    uri: str
    tag: str


@dataclass(kw_only=True)
class Session:
    """What every verb works with. `build` makes (or finds) an image here and returns its local reference, `look`
    tells what is known of it; `check` raises where these credentials must not change anything."""

    settings: Settings
    call: Call
    build: Build
    screen: Screen
    clock: Clock = field(default_factory=Clock)
    check: Callable[[], object] = lambda: None
    look: Callable[[str], ImageFacts] = lambda _: ImageFacts()
    holder: Holder = field(default_factory=Holder)
    _is_ready: bool = False
    _is_locked: bool = False

    def settle(self, resources: Sequence[Resource], before: Callable[[Plan], None] = lambda _: None) -> Plan:
        """Plans and applies; returns the plan. What another deploy changed meanwhile is seen. `before` is told what is
        to be changed, and may raise."""
        todo = self._plan(resources)
        if todo.changes:
            before(todo)
            with self.changing():
                todo = self._plan(resources)
                apply(todo, self.call, clock=self.clock, say=self._tell)
        return todo

    def apply(self, todo: Plan) -> None:
        """Runs a plan, telling each step. Raises DeployError."""
        if todo.changes:
            with self.changing(make_bucket=False):
                apply(todo, self.call, clock=self.clock, say=self._tell)

    def ready(self) -> None:
        """Says where this session acts, and raises DeployError unless it may; once, before the first change."""
        if not self._is_ready:
            who, settings = self.check(), self.settings
            where = settings.stage.endpoint_url or "AWS"
            as_whom = f", as {who}" if who else ""
            stage = f"stage {settings.stage_name}: account {settings.stage.account}, {settings.stage.region}"
            self.screen.say(f"   {stage}, {where}{as_whom}")
            self._is_ready = True

    @contextmanager
    def changing(self, *, make_bucket: bool = True) -> Iterator[None]:
        """While it lasts nobody else changes the stage: the second one waits. The lock lies in the stage's bucket,
        which is made when it is not there; without `make_bucket` there is then nothing to lock."""
        self.ready()
        ours = bucket(self.settings)
        seen = None if self._is_locked else ours.read(self.call)
        if self._is_locked or (seen is None and not make_bucket):
            yield
            return
        apply(Plan(steps=(ours.plan(seen),)), self.call, clock=self.clock, say=self._tell)
        lock = Lock(call=self.call, bucket=ours.name, holder=self.holder, say=self.screen.say, clock=self.clock)
        with lock:
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def image(self, kind: str) -> Image:
        """The image of a kind (train, serve or lambda) as this stage's AWS is told of it. Raises DeployError."""
        reference = self.build(kind)
        tag = reference.rpartition(":")[2]
        if uri := pushed.uri(self.settings, self.call, kind_named(kind), tag):
            return Image(uri=uri, tag=tag)
        if self.settings.stage.engine_images:
            return Image(uri=reference, tag=tag)
        raise DeployError(f"image {reference}: is not pushed; run ./inv push --image {kind}")

    def image_facts(self, kind: str) -> ImageFacts:
        """What is known of the image of a kind."""
        return self.look(self.build(kind))

    def _plan(self, resources: Sequence[Resource]) -> Plan:
        return plan(resources, observe(resources, self.call))

    def _tell(self, step: Step, status: str) -> None:
        self.screen.say(f"   {step.action} {step.address} {status}")
