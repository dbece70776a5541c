"""What serves: images to the registry, plan, deploy, scaling, going back, asking."""

from __future__ import annotations

from json import dumps
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from cli import context
from cli.context import user_errors


@task(
    help={
        "image": "train, serve or lambda; all when not given",
        "repair": "rewrite a manifest that SageMaker or Lambda refuses, without a rebuild",
    }
)
def push(_: Context, image: str = "", repair: bool = False) -> None:
    """Push the images to ECR, checked for those who will pull them: ./inv push [train|serve|lambda]."""
    from deploy.commands.push import push
    from deploy.images.recipe import KINDS, kind_named

    with user_errors():
        push(context.session(), [kind_named(image)] if image else KINDS, context.pushing, repair=repair)


@task(help={"pushed": "in ECR too, but for the newest few", "yes": "do not ask"})
def prune(_: Context, pushed: bool = False, yes: bool = False) -> None:
    """Remove old images of ours that nothing starts from."""
    from deploy.commands.prune import prune
    from deploy.images.engine import execute

    with user_errors():
        current, keep = context.images_now()
        confirm = (lambda _: True) if yes else context.confirm_deletion
        prune(context.session(), execute, current, keep, pushed=pushed, confirm=confirm)


@task(help={"json": "for a script to read"})
def plan(_: Context, json: bool = False) -> None:
    """Say what deploy would change, and why; change nothing."""
    from deploy.commands.plan import plan, show
    from deploy.costs import preflight

    with user_errors():
        session = context.session(aside=json)
        todo = plan(session)
        if json:
            print(todo.to_json())
        else:
            show(todo, session.screen)
            preflight.foreseen(session, todo)


@task(help={"json": "what was changed, for a script to read"})
def deploy(_: Context, json: bool = False) -> None:
    """Make it so: bucket, roles, endpoint, Lambda. Twice changes nothing."""
    from deploy.commands.deploy import deploy
    from deploy.values import Plan

    with user_errors():
        steps = deploy(context.session(aside=json))
        if json:
            print(Plan(steps=steps).to_json())
            return
        print(f"{len(steps)} changes made" if steps else "as it should be already: nothing to do")


@task(help={"json": "for a script to read"})
def autoscale(_: Context, json: bool = False) -> None:
    """Let endpoints and the function scale as deploy.toml says; show what runs, its bounds and the last activities."""
    from deploy.commands.autoscale import autoscale

    with user_errors():
        session = context.session(aside=json)
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
    from deploy.commands.rollback import rollback, rollback_function

    with user_errors():
        if endpoint == "lambda":
            print(f"version {rollback_function(context.session())} is live; ./inv deploy goes forward again")
        else:
            print(f"serves {rollback(context.session(), endpoint, to=to).config}")


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
    from deploy.commands.invoke import invoke, invoke_endpoint, picture_event

    with user_errors():
        session = context.session(aside=True)
        if endpoint or variant:
            answer = invoke_endpoint(session, endpoint, Path(picture), variant=variant)
        else:
            answer = invoke(session, picture_event(Path(picture)))
        print(dumps(answer, indent=2))
