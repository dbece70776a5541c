"""The project's tasks: thin, and the only place that wires the rooms together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from deploy.flow import Flow
    from deploy.models import Plan, Request
    from deploy.settings import Settings
    from localcloud.daemon import Status

HERE = Path(__file__).resolve().parent
TOOLS = Path(sys.executable).parent


@contextmanager
def said_plainly() -> Iterator[None]:
    """An error meant for people ends the command with its message; a bug keeps its traceback."""
    from deploy.engine import EngineError
    from deploy.errors import DeployError
    from deploy.images import ImageError
    from localcloud.errors import LocalcloudError
    from starter.packages import FetchError

    try:
        yield
    except (EngineError, ImageError, DeployError, LocalcloudError, FetchError) as error:
        raise Exit(f"error: {error}", 1) from None


# The ground: engine, images, tests, locks.


@task
def engine(_: Context) -> None:
    """Have a Docker engine that answers: installed and started where that is ours to do."""
    from deploy import engine_setup
    from deploy.workshop import Workshop

    with said_plainly():
        host = engine_setup.look(dict(os.environ))
        acts = engine_setup.plan(host)
        if not acts:
            print(f"Docker engine {host.version} answers: nothing to do")
        doer = engine_setup.Acts(log=HERE / ".kennel" / "dockerd.log", say=print)
        for act in acts:
            doer.do(act)
        if host.apt and host.root and Workshop(repository=HERE).lacks_base_maker():
            engine_setup.install(["mmdebstrap", "debian-archive-keyring"], say=print)


@task(help={"image": "train, serve or lambda; all when not given"})
def build(_: Context, image: str = "") -> None:
    """Build the images, or find them built: ./inv build [train|serve|lambda]."""
    from deploy.images import KINDS, kind_named
    from deploy.workshop import Workshop

    workshop = Workshop(repository=HERE)
    with said_plainly():
        for kind in [kind_named(image)] if image else KINDS:
            workshop.build(kind)


@task(help={"tier": "unit, functional, container or e2e; all when not given", "room": "one room's tests only"})
def test(_: Context, tier: str = "", room: str = "") -> None:
    """Lint, then run the tests: train and serve in their own images, the rest here."""
    from deploy.images import KINDS
    from deploy.workshop import Workshop
    from tests import checks, tiers

    if tier and tier not in tiers.TIERS:
        raise Exit(f"no tier is called {tier!r}: choose from {', '.join(tiers.TIERS)}", 2)
    chosen = tiers.suites(tiers.test_files(HERE), tier=tier, room=room)
    if not chosen:
        raise Exit(f"no tests match {tier} {room}".strip(), 2)
    workshop = Workshop(repository=HERE)
    clean = bool(tier or room) or checks.run(HERE, TOOLS)
    if {"container", "e2e"} & {suite.tier for suite in chosen}:
        with said_plainly():
            for kind in KINDS:
                workshop.build(kind)
            tiers.install_programs(print)
    outcomes = tiers.run(
        chosen, repository=HERE, image=lambda kind: workshop.build(kind, target="test"), say=workshop.say
    )
    if not clean:
        print("lint failed: see above")
    print(tiers.total(outcomes), flush=True)
    if not clean or any(outcome.failed for outcome in outcomes):
        raise Exit(code=1)


@task
def lint(_: Context) -> None:
    """Check style, types, shell scripts and Dockerfiles."""
    from tests import checks

    if not checks.run(HERE, TOOLS):
        raise Exit(code=1)


@task
def fmt(_: Context) -> None:
    """Format the code and mend what lint can mend."""
    subprocess.run([TOOLS / "ruff", "check", "--fix", "."], cwd=HERE, check=False)
    subprocess.run([TOOLS / "ruff", "format", "."], cwd=HERE, check=False)


@task(help={"upgrade": "take the newest versions instead of keeping those that are locked"})
def lock(_: Context, upgrade: bool = False) -> None:
    """Write the locks: requirements.lock from pyproject.toml, docker/*.lock from docker/*.in."""
    from deploy import locks

    for lock_ in locks.LOCKS:
        print(lock_.output, flush=True)
        if subprocess.run([TOOLS / "uv", *lock_.arguments(upgrade=upgrade)], cwd=HERE, check=False).returncode:
            raise Exit(f"{lock_.output} could not be made: see above", 1)


# The main job: one stage's verbs. Where they act is said once: ./inv on prod deploy.


@task(positional=["stage"], help={"stage": "local, or one of your own in deploy.toml"})
def on(_: Context, stage: str) -> None:
    """Choose the stage for the tasks that follow: ./inv on prod plan deploy (or set KENNEL_STAGE)."""
    os.environ["KENNEL_STAGE"] = stage
    with said_plainly():
        _settings()


@task
def up(_: Context) -> None:
    """Start the local AWS in the background, and say where it answers."""
    with said_plainly():
        print(f"AWS answers at {_local_aws(_settings()).endpoint_url}")


@task(help={"yes": "do not ask"})
def down(_: Context, yes: bool = False) -> None:
    """Take away everything of the stage, and prove that nothing is left."""
    from localcloud import daemon

    with said_plainly():
        settings = _settings()
        if not settings.stage.endpoint_url or daemon.status(_state_dir(settings)).healthy:
            gone = _flow(settings).down(lambda plan: yes or _agreed(plan))
            print(f"{settings.prefix}: {len(gone)} resources taken away, none left")
        if settings.stage.endpoint_url:
            _stop_local_aws(settings)


@task(help={"source": "groceries, or your own folder or archive; data.source of deploy.toml when not given"})
def data(_: Context, source: str = "") -> None:
    """Check pictures and push what changed: ./inv data [groceries|FOLDER]."""
    with said_plainly():
        settings = _settings()
        folder, name = _pictures(source or settings.data.source)
        chosen = settings.training.hyperparameters
        usual = (chosen.get("model", "resnet50"), chosen.get("weights", "imagenet")) == ("resnet50", "imagenet")
        weights = _weights() if usual else None
        _flow(settings).push(folder, name, weights=weights)


@task(help={"source": "as given to data", "quiet": "only the epochs, not every line"})
def train(_: Context, source: str = "", quiet: bool = False) -> None:
    """Train on the pushed pictures and follow the job to its end; what is trained already is not trained again."""
    with said_plainly():
        settings = _settings()
        name = _data_name(source or settings.data.source)
        result = _flow(settings).train(name, verbose=not quiet)
        print(f"{result.name}: {result.artifact}")


@task(help={"json": "for a script to read"})
def plan(_: Context, json: bool = False) -> None:
    """Say what deploy would change, and why; change nothing."""
    with said_plainly():
        flow = _flow(_settings())
        todo = flow.plan()
        if json:
            print(todo.to_json())
        else:
            flow.show(todo)


@task
def deploy(_: Context) -> None:
    """Make it so: bucket, roles, endpoint, Lambda. Twice changes nothing."""
    with said_plainly():
        steps = _flow(_settings()).deploy()
        print(f"{len(steps)} changes made" if steps else "as it should be already: nothing to do")


@task(help={"json": "for a script to read"})
def status(_: Context, json: bool = False) -> None:
    """Everything of the stage, and how it is."""
    from json import dumps

    with said_plainly():
        flow = _flow(_settings())
        rows = flow.status()
        if json:
            print(dumps([dict(zip(("kind", "name", "state"), row, strict=True)) for row in rows], indent=2))
        else:
            flow.screen.table(("kind", "name", "state"), rows)


@task(positional=["name"], help={"name": "a training job, an endpoint or the function"})
def logs(_: Context, name: str) -> None:
    """What a job, an endpoint or the function wrote: ./inv logs NAME."""
    with said_plainly():
        _flow(_settings()).logs(name)


@task(positional=["picture"], help={"picture": "a picture of this machine"})
def invoke(_: Context, picture: str) -> None:
    """Ask the Lambda what a picture shows: ./inv invoke PICTURE."""
    from json import dumps

    from deploy.flow import picture_event

    with said_plainly():
        print(dumps(_flow(_settings()).invoke(picture_event(Path(picture))), indent=2))


@task
def page(_: Context) -> None:
    """The address of the local endpoint's page, to drop pictures on."""
    with said_plainly():
        print(_page(_settings()))


@task
def demo(_: Context) -> None:
    """The whole path on this machine: pictures, training, endpoint, Lambda, five answers."""
    from urllib.parse import urlsplit

    from deploy.demo import Demo

    with said_plainly():
        settings = _settings()
        seen: Counter[str] = Counter()
        flow = _flow(settings, seen)

        def build() -> None:
            for kind in ("serve", "lambda", "train"):
                flow.build(kind)

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            Demo(
                flow=flow,
                build=build,
                up=lambda: urlsplit(_local_aws(settings).info["container_url"]).hostname or "",
                groceries=lambda: _pictures("groceries")[0],
                weights=_weights,
                page=lambda: _page(settings),
                runs=HERE / ".kennel" / "runs",
                screen=flow.screen,
                sent=seen,
            ).run()
        except KeyboardInterrupt:
            print("\nstopped: taking away what runs")
            _stop_local_aws(settings)
            raise Exit(code=130) from None


CACHE = HERE / ".kennel" / "cache"


def _settings() -> Settings:
    from deploy.settings import FILE, load

    return load(Path(os.environ.get("KENNEL_SETTINGS") or HERE / FILE), environ=os.environ)


def _state_dir(settings: Settings) -> Path:
    """Where the stage's local AWS keeps its lock, log and work: two of them on two ports do not meet."""
    from urllib.parse import urlsplit

    return HERE / ".kennel" / f"localcloud-{urlsplit(settings.stage.endpoint_url).port}"


def _flow(settings: Settings, seen: Counter[str] | None = None) -> Flow:
    """The stage's verbs, once it is known that its account is the one that was meant."""
    from deploy.aws import connect
    from deploy.flow import Flow
    from deploy.progress import Screen
    from deploy.workshop import Workshop

    def log(request: Request) -> None:
        if seen is not None:
            seen[request.operation] += 1
        if os.environ.get("KENNEL_TRACE"):
            print(f"→ {request}", file=sys.stderr)

    screen = Screen()
    bundle = {"KENNEL_CA_BUNDLE": settings.images.ca_bundle} if settings.images.ca_bundle else {}
    workshop = Workshop(repository=HERE, environment={**os.environ, **bundle}, say=_tell_building)
    built: dict[str, str] = {}

    def build(kind: str) -> str:
        if kind not in built:
            built[kind] = workshop.build(kind)  # type: ignore[arg-type]  # it says which there are
        return built[kind]

    door = connect(settings, log=log)
    return Flow(settings=settings, call=door, build=build, screen=screen, check=door.check_account)


def _tell_building(line: str) -> None:
    """What is built on the way is worth a word, beside the output that a script may read; what is reused is not."""
    if not line.endswith(" reused"):
        print(line, file=sys.stderr, flush=True)


def _local_aws(settings: Settings) -> Status:
    """The stage's local AWS, started when it is not there."""
    from urllib.parse import urlsplit

    from deploy.errors import DeployError
    from localcloud import daemon

    port = urlsplit(settings.stage.endpoint_url).port
    if port is None:
        raise DeployError(f"stage {settings.stage_name}: is AWS itself: there is nothing to start")
    return daemon.start_background(port=port, state_dir=_state_dir(settings), region=settings.stage.region)


def _stop_local_aws(settings: Settings) -> None:
    """Ends it with all its containers and networks, then looks for any that are left."""
    from deploy.errors import DeployError
    from localcloud import containers, daemon, state

    folder = _state_dir(settings)
    daemon.stop(folder)
    left = containers.DockerEngine(state.StateDir(folder).instance, containers.connect()).owned()
    if left:
        raise DeployError(f"still there: {', '.join(each.id[:12] for each in left)}; docker rm -f them")
    print("local AWS stopped: no container and no network is left")


def _page(settings: Settings) -> str:
    from deploy.errors import DeployError
    from localcloud import containers, state

    engine = containers.DockerEngine(state.StateDir(_state_dir(settings)).instance, containers.connect())
    for container in engine.owned():
        if container.labels.get("kennel.endpoint") == settings.endpoint_name and container.ports:
            return f"http://127.0.0.1:{next(iter(container.ports.values()))}/"
    raise DeployError(f"{settings.endpoint_name}: no container of it runs here; ./inv deploy starts one")


def _pictures(source: str) -> tuple[Path, str]:
    """The folder (or archive) and the name under which it is pushed."""
    from starter import groceries

    if source == "groceries":
        return groceries.fetch(CACHE), source
    return Path(source), _data_name(source)


def _data_name(source: str) -> str:
    return Path(source).resolve().name


def _weights() -> Path:
    """ResNet-50's: torchvision's own by way of the training image, or a package's where that is out of reach."""
    from deploy.workshop import Workshop
    from starter import weights

    def official(target: Path) -> bool:
        image = Workshop(repository=HERE, say=_tell_building).build("train")
        command = ["docker", "run", "--rm", "-v", f"{target.parent}:/weights", image, "weights", "resnet50"]
        return subprocess.run([*command, f"/weights/{target.name}"], capture_output=True, check=False).returncode == 0

    return weights.fetch(CACHE, official=official)


def _agreed(plan: Plan) -> bool:
    """Asks before anything is deleted; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        raise Exit("error: down deletes all of it and nobody is there to ask; say so with --yes", 2)
    for step in plan.steps:
        print(f"- {step.address}  {step.touches}")
    return input("delete all of this? [y/N] ").strip().lower() in ("y", "yes")
