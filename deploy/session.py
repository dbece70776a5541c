"""One command's session with one stage: its settings, the doors to AWS and to images, and the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.apply import apply
from deploy.aws import Clock
from deploy.errors import DeployError
from deploy.models import Call, Plan, Step
from deploy.observe import observe
from deploy.plan import plan
from deploy.progress import Screen
from deploy.resources.base import Resource
from deploy.settings import Settings

Build = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as AWS is told of it: `uri` says where it is pulled from (by digest once pushed), `tag` its content."""

    uri: str
    tag: str


@dataclass(kw_only=True)
class Session:
    """What every verb works with. `build` makes (or finds) an image here and returns its local reference; `check`
    raises where these credentials must not change anything."""

    settings: Settings
    call: Call
    build: Build
    screen: Screen
    clock: Clock = field(default_factory=Clock)
    check: Callable[[], object] = lambda: None
    _is_checked: bool = False

    def settle(self, resources: Sequence[Resource]) -> Plan:
        """Plans and applies; returns the plan."""
        todo = plan(resources, observe(resources, self.call))
        self.apply(todo)
        return todo

    def apply(self, todo: Plan) -> None:
        """Runs a plan, telling each step. Raises DeployError."""
        if todo.changes:
            self.ready()
            apply(todo, self.call, clock=self.clock, say=self._tell)

    def ready(self) -> None:
        """Raises DeployError unless this session may change the stage; asked once, before the first change."""
        if not self._is_checked:
            self.check()
            self._is_checked = True

    def image(self, kind: str) -> Image:
        """The image of a kind (train, serve or lambda) as this stage's AWS is told of it. Raises DeployError."""
        reference = self.build(kind)
        tag = reference.rpartition(":")[2]
        if self.settings.stage.engine_images:
            return Image(uri=reference, tag=tag)
        raise DeployError(f"image {reference}: is not pushed; run ./inv push {kind}")

    def _tell(self, step: Step, status: str) -> None:
        self.screen.say(f"   {step.action} {step.address} {status}")
