"""The project's tasks: thin; what they work with is made in wiring.py, what they do is in deploy/verbs/."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from json import dumps
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

import wiring
from wiring import HERE, said_plainly

TOOLS = Path(sys.executable).parent


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


# The verbs of one stage. Where they act is said once: ./inv on prod deploy.


@task(positional=["stage"], help={"stage": "local, or one of your own in deploy.toml"})
def on(_: Context, stage: str) -> None:
    """Choose the stage for the tasks that follow: ./inv on prod plan deploy (or set KENNEL_STAGE)."""
    os.environ["KENNEL_STAGE"] = stage
    with said_plainly():
        wiring.settings()


@task
def up(_: Context) -> None:
    """Start the local AWS in the background, and say where it answers."""
    with said_plainly():
        print(f"AWS answers at {wiring.local_aws(wiring.settings()).endpoint_url}")


@task(
    help={
        "yes": "do not ask",
        "data": "the bucket with all it holds too",
        "images": "the pushed images too",
        "deployer": "the role for those who deploy too",
    }
)
def down(_: Context, yes: bool = False, data: bool = False, images: bool = False, deployer: bool = False) -> None:
    """Take away everything of the stage, and prove that nothing is left."""
    from deploy.verbs.down import down
    from localcloud import daemon

    with said_plainly():
        settings = wiring.settings()
        local = bool(settings.stage.endpoint_url)  # a local AWS goes whole
        asked = {"data": data, "images": images, "deployer": deployer}
        also = {name for name, wanted in asked.items() if wanted or local}
        if not local or daemon.status(wiring.state_dir(settings)).healthy:
            confirm = (lambda _: True) if yes else wiring.agreed_deletion
            done = down(wiring.session(settings), confirm, also=also)
            print(f"{settings.prefix}: {len(done.gone)} resources taken away, none left")
            for address in done.kept:
                print(f"kept: {address} (--data, --images and --deployer take these too)")
        if local:
            wiring.stop_local_aws(settings)


@task(
    help={
        "image": "train, serve or lambda; all when not given",
        "repair": "rewrite a manifest that SageMaker or Lambda refuses, without a rebuild",
    }
)
def push(_: Context, image: str = "", repair: bool = False) -> None:
    """Push the images to ECR, checked for those who will pull them: ./inv push [train|serve|lambda]."""
    from deploy.images import KINDS, kind_named
    from deploy.verbs.push import push

    with said_plainly():
        push(wiring.session(), [kind_named(image)] if image else KINDS, wiring.pushing, repair=repair)


@task(help={"pushed": "in ECR too, but for the newest few", "yes": "do not ask"})
def prune(_: Context, pushed: bool = False, yes: bool = False) -> None:
    """Remove old images of ours that nothing starts from."""
    from deploy.engine import answer
    from deploy.verbs.prune import prune

    with said_plainly():
        current, keep = wiring.images_now()
        confirm = (lambda _: True) if yes else wiring.agreed_deletion
        prune(wiring.session(), answer, current, keep, pushed=pushed, confirm=confirm)


@task(help={"source": "groceries, or your own folder or archive; data.source of deploy.toml when not given"})
def data(_: Context, source: str = "") -> None:
    """Check pictures and push what changed: ./inv data [groceries|FOLDER]."""
    from deploy.verbs.data import push

    with said_plainly():
        session = wiring.session()
        folder, name = wiring.pictures(source or session.settings.data.source)
        push(session, folder, name, weights=wiring.weights() if wiring.wants_weights(session.settings) else None)


@task(
    help={
        "source": "as given to data",
        "name": "what this training is called; endpoint.training names the one that is served",
        "instances": "hosts that train together; training.instance_count when not given",
        "on": "sagemaker, ec2 or here; training.on when not given",
        "stop": "stop the running job of that name instead",
        "quiet": "only the epochs, not every line",
    }
)
def train(  # noqa: PLR0917 (each is an option)
    _: Context,
    source: str = "",
    name: str = "train",
    instances: int = 0,
    on: str = "",
    stop: bool = False,
    quiet: bool = False,
) -> None:
    """Train on the pushed pictures and follow the job to its end; what is trained already is not trained again."""
    from deploy.verbs import train as verb

    with said_plainly():
        session = wiring.session()
        where = verb.checked(session.settings, on=on, name=name, instances=instances)
        if stop:
            print(f"{verb.stop(session, purpose=name)}: stopping")
            return
        chosen = source or session.settings.data.source
        try:
            result = verb.train(
                session,
                wiring.data_name(chosen),
                purpose=name,
                instances=instances or None,
                on=where,
                local=wiring.local_training(session.settings, chosen) if where == "here" else None,
                verbose=not quiet,
            )
        except KeyboardInterrupt:
            print(f"\n{verb.left_running(where)}", file=sys.stderr)
            raise Exit(code=130) from None
        print(f"{result.name}: {result.artifact}")


@task(
    help={
        "source": "as given to data",
        "on": "sagemaker or here; as training.on when not given",
        "train": "then train anew with the best values, as training tuned",
        "stop": "stop the running search instead",
        "json": "for a script to read",
    }
)
def tune(
    _: Context, source: str = "", on: str = "", train: bool = False, stop: bool = False, json: bool = False
) -> None:
    """Search hyperparameters as [tuning] says; the best model becomes training tuned."""
    from deploy.jobs import tuning
    from deploy.verbs import tune as verb

    with said_plainly():
        session = wiring.session(aside=json)
        if stop:
            print(f"{verb.stop(session)}: stopping")
            return
        where, chosen = verb.checked(session.settings, on), source or session.settings.data.source
        try:
            found = verb.tune(
                session,
                wiring.data_name(chosen),
                on=where,
                local=wiring.local_training(session.settings, chosen) if where == "here" else None,
                studies=HERE / ".kennel" / "tuning",
                train_best=train,
            )
        except KeyboardInterrupt:
            print(f"\n{verb.left_running(where)}", file=sys.stderr)
            raise Exit(code=130) from None
        if json:
            print(found.to_json())
        else:
            session.screen.table(tuning.HEADINGS, tuning.table(found.trials))


@task(
    help={
        "source": "a folder of pictures, or a prefix below s3://BUCKET/transform/",
        "endpoint": "the model of this endpoint: main when not given, or NAME of [endpoints.NAME]",
        "instances": "how many machines share the pictures",
        "out": "a file to write all answers to, as CSV",
        "json": "for a script to read",
    }
)
def transform(
    _: Context, source: str, endpoint: str = "", instances: int = 1, out: str = "", json: bool = False
) -> None:
    """Ask the model about every picture of a folder or prefix, without an endpoint."""
    from deploy.jobs import transform as jobs
    from deploy.verbs.transform import transform

    with said_plainly():
        session = wiring.session(aside=json)
        found = transform(session, source, endpoint=endpoint, instances=instances)
        wiring.show(session.screen, jobs.HEADINGS, jobs.table(found.answers), json=json)
        if out:
            wiring.write(Path(out), jobs.as_csv(found.answers))
        if found.missing:
            print(
                f"error: {found.name}: {len(found.missing)} pictures without an answer, the first "
                f"{found.missing[0]}: {found.reason}",
                file=sys.stderr,
            )
            raise Exit(code=1)


@task(help={"json": "for a script to read"})
def plan(_: Context, json: bool = False) -> None:
    """Say what deploy would change, and why; change nothing."""
    from deploy import announce
    from deploy.verbs.plan import plan, show

    with said_plainly():
        session = wiring.session(aside=json)
        todo = plan(session)
        if json:
            print(todo.to_json())
        else:
            show(todo, session.screen)
            announce.foreseen(session, todo)


@task
def deploy(_: Context) -> None:
    """Make it so: bucket, roles, endpoint, Lambda. Twice changes nothing."""
    from deploy.verbs.deploy import deploy

    with said_plainly():
        steps = deploy(wiring.session())
        print(f"{len(steps)} changes made" if steps else "as it should be already: nothing to do")


@task(help={"json": "for a script to read"})
def status(_: Context, json: bool = False) -> None:
    """Everything of the stage, how it is, and what it costs by the hour."""
    from deploy.verbs.status import HEADINGS, status, table

    with said_plainly():
        session = wiring.session(aside=json)
        rows, bill = status(session)
        if json:
            print(dumps([vars(row) for row in rows], indent=2, default=str))
        else:
            session.screen.table(HEADINGS, table(rows))
        session.screen.say(bill)


@task(help={"deployer": "only the policies to paste for who deploys, as JSON", "json": "for a script to read"})
def iam(_: Context, deployer: bool = False, json: bool = False) -> None:
    """Each role: who may take it, and what it may do on what; --deployer: the policies to paste for who deploys."""
    from deploy.progress import Screen
    from deploy.verbs.iam import deployer_documents, sheets, show, show_deployer

    with said_plainly():
        settings = wiring.settings()
        if json:
            found = deployer_documents(settings) if deployer else [sheet.to_json() for sheet in sheets(settings)]
            print(dumps(found, indent=2))
        elif deployer:
            show_deployer(settings, Screen(), Screen(out=sys.stderr))
        else:
            show(sheets(settings), Screen())


@task(help={"out": "a file to write the review to, as Markdown", "json": "for a script to read"})
def audit(_: Context, out: str = "", json: bool = False) -> None:
    """A security review of the account, the worst first; it reads and changes nothing."""
    from datetime import UTC, datetime

    from deploy.audit.finding import HEADINGS, is_severe, markdown
    from deploy.verbs.audit import audit

    with said_plainly():
        session = wiring.session(aside=json)
        stage, now = session.settings.stage, datetime.now(UTC)
        found = audit(session, now=now)
        wiring.show(session.screen, HEADINGS, [each.row for each in found], json=json)
        if out:
            text = markdown(found, account=stage.account, region=stage.region, when=f"{now:%Y-%m-%d %H:%M} UTC")
            wiring.write(Path(out), text)
    if is_severe(found):
        raise Exit(code=1)


@task(help={"request": "ask AWS for what is too low", "yes": "do not ask before that", "json": "for a script to read"})
def quotas(_: Context, request: bool = False, yes: bool = False, json: bool = False) -> None:
    """The quotas that deploy.toml needs, against the account's."""
    from deploy.verbs.quotas import HEADINGS, quotas, request_more, table

    with said_plainly():
        session = wiring.session(aside=json)
        rows = quotas(session)
        wiring.show(session.screen, HEADINGS, table(rows), json=json)
        if request:
            lines = request_more(session, rows, wiring.agreed_request if not yes else lambda _: True)
            session.screen.say("\n".join(lines))


@task(
    positional=["name"],
    help={
        "name": "a job, an endpoint (or main), the function (or lambda), an EC2 run or the notebook",
        "follow": "go on until the job has ended, or Ctrl-C",
        "since": "the last 90s, 10m, 2h or 1d only",
    },
)
def logs(_: Context, name: str, follow: bool = False, since: str = "") -> None:
    """What a job, an endpoint or the function wrote: ./inv logs NAME --follow --since 10m."""
    from deploy.verbs.logs import logs

    with said_plainly():
        logs(wiring.session(), name, since=since, follow=follow)


@task(
    positional=["name"], help={"name": "a job, an endpoint, the function, an EC2 run", "json": "for a script to read"}
)
def why(_: Context, name: str, json: bool = False) -> None:
    """Why something does not work, and what to type next: ./inv why NAME."""
    from deploy.verbs.why import show, to_json, why

    with said_plainly():
        session = wiring.session(aside=json)
        facts, found = why(session, name, wiring.image_eyes(session))
        if json:
            print(dumps(to_json(facts, found), indent=2))
        else:
            show(facts, found, session.screen)
    if found or not (facts.is_well or facts.is_busy):
        raise Exit(code=1)


@task(
    positional=["picture"],
    help={
        "picture": "a picture of this machine",
        "endpoint": "ask this endpoint itself instead: main, or NAME of [endpoints.NAME]",
        "variant": "and just this variant of it",
    },
)
def invoke(_: Context, picture: str, endpoint: str = "", variant: str = "") -> None:
    """Ask the Lambda (or an endpoint itself) what a picture shows: ./inv invoke [--endpoint NAME] PICTURE."""
    from deploy.verbs.invoke import invoke, invoke_endpoint, picture_event

    with said_plainly():
        session = wiring.session(aside=True)
        if endpoint or variant:
            answer = invoke_endpoint(session, endpoint, Path(picture), variant=variant)
        else:
            answer = invoke(session, picture_event(Path(picture)))
        print(dumps(answer, indent=2))


@task(help={"json": "for a script to read"})
def autoscale(_: Context, json: bool = False) -> None:
    """Let endpoints and the function scale as deploy.toml says; show what runs, its bounds and the last activities."""
    from deploy.verbs.autoscale import autoscale

    with said_plainly():
        session = wiring.session(aside=json)
        told = autoscale(session)
        if json:
            print(told.to_json())
        else:
            told.show(session.screen)


@task(
    help={
        "endpoint": "main when not given, NAME of [endpoints.NAME], or lambda for the function's alias",
        "to": "an older version than the last, of an endpoint",
    },
)
def rollback(_: Context, endpoint: str = "", to: str = "") -> None:
    """Go back to what ran before the last deploy: ./inv rollback [ENDPOINT|lambda]."""
    from deploy.verbs.rollback import rollback, rollback_function

    with said_plainly():
        if endpoint == "lambda":
            print(f"version {rollback_function(wiring.session())} is live; ./inv deploy goes forward again")
        else:
            print(f"serves {rollback(wiring.session(), endpoint, to=to).config}")


@task(positional=["act"], help={"act": "create, open, stop, start or delete", "yes": "do not ask"})
def notebook(_: Context, act: str, yes: bool = False) -> None:
    """A small notebook instance that stops itself when idle: ./inv notebook create|open|stop|start|delete."""
    from deploy.verbs import notebook as verbs

    with said_plainly():
        session = wiring.session()
        confirm = (lambda *_: True) if yes else wiring.agreed_lines
        acts = {
            "create": lambda: print(f"{verbs.create(session, confirm)}: ./inv notebook open says where"),
            "open": lambda: print(verbs.address(session)),
            "stop": lambda: verbs.stop(session),
            "start": lambda: verbs.start(session),
            "delete": lambda: verbs.delete(session, confirm),
        }
        if act not in acts:
            raise Exit(f"no notebook act is called {act!r}: choose from {', '.join(acts)}", 2)
        acts[act]()


@task
def page(_: Context) -> None:
    """The address of the local endpoint's page, to drop pictures on."""
    with said_plainly():
        print(wiring.page(wiring.settings()))


@task
def demo(_: Context) -> None:
    """The whole path on this machine: pictures, training, endpoint, Lambda, five answers."""
    from urllib.parse import urlsplit

    from deploy.demo import Demo

    with said_plainly():
        settings = wiring.settings()
        seen: Counter[str] = Counter()
        session = wiring.session(settings, seen)

        def build() -> None:
            for kind in ("serve", "lambda", "train"):
                session.build(kind)

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            Demo(
                session=session,
                build=build,
                up=lambda: urlsplit(wiring.local_aws(settings).info["container_url"]).hostname or "",
                groceries=lambda: wiring.pictures("groceries")[0],
                weights=wiring.weights,
                page=lambda: wiring.page(settings),
                runs=HERE / ".kennel" / "runs",
                screen=session.screen,
                sent=seen,
            ).run()
        except KeyboardInterrupt:
            print("\nstopped: taking away what runs")
            wiring.stop_local_aws(settings)
            raise Exit(code=130) from None
