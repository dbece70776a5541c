"""What serves: images to the registry, plan, deploy, scaling, going back, asking."""

from __future__ import annotations

from json import dumps
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from cli import wiring
from cli.wiring import said_plainly


@task(
    help={
        "image": "train, serve or lambda; all when not given",
        "repair": "rewrite a manifest that SageMaker or Lambda refuses, without a rebuild",
    }
)
def push(_: Context, image: str = "", repair: bool = False) -> None:
    """Push the images to ECR, checked for those who will pull them: ./inv push [train|serve|lambda]."""
    from deploy.images.build import KINDS, kind_named
    from deploy.verbs.push import push

    with said_plainly():
        push(wiring.session(), [kind_named(image)] if image else KINDS, wiring.pushing, repair=repair)


@task(help={"pushed": "in ECR too, but for the newest few", "yes": "do not ask"})
def prune(_: Context, pushed: bool = False, yes: bool = False) -> None:
    """Remove old images of ours that nothing starts from."""
    from deploy.images.engine import answer
    from deploy.verbs.prune import prune

    with said_plainly():
        current, keep = wiring.images_now()
        confirm = (lambda _: True) if yes else wiring.agreed_deletion
        prune(wiring.session(), answer, current, keep, pushed=pushed, confirm=confirm)


@task(help={"json": "for a script to read"})
def plan(_: Context, json: bool = False) -> None:
    """Say what deploy would change, and why; change nothing."""
    from deploy.money import announce
    from deploy.verbs.plan import plan, show

    with said_plainly():
        session = wiring.session(aside=json)
        todo = plan(session)
        if json:
            print(todo.to_json())
        else:
            show(todo, session.screen)
            announce.foreseen(session, todo)


@task(help={"json": "what was changed, for a script to read"})
def deploy(_: Context, json: bool = False) -> None:
    """Make it so: bucket, roles, endpoint, Lambda. Twice changes nothing."""
    from deploy.models import Plan
    from deploy.verbs.deploy import deploy

    with said_plainly():
        steps = deploy(wiring.session(aside=json))
        if json:
            print(Plan(steps=steps).to_json())
            return
        print(f"{len(steps)} changes made" if steps else "as it should be already: nothing to do")


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
