"""Deployment: images in ECR, endpoints, the Lambda and their scaling."""

from __future__ import annotations

from json import dumps
from pathlib import Path

from cli import context
from cli.command import Run, command


@command(
    help={
        "image": "train, serve or lambda (default: all three)",
        "repair": "rewrite a manifest that SageMaker or Lambda refuses, without a rebuild",
    }
)
def push(run: Run, image: str = "", repair: bool = False) -> None:
    """Push the images to ECR and check that AWS can run them."""
    from deploy.commands.push import push
    from deploy.images.recipe import KINDS, kind_named

    push(run.session, [kind_named(image)] if image else KINDS, context.pushing, repair=repair)


@command(
    help={"pushed": "delete in ECR too, except the newest few", "yes": "do not ask for confirmation"},
)
def prune(run: Run, pushed: bool = False, yes: bool = False) -> None:
    """Delete old images that nothing uses."""
    from deploy.commands.prune import prune
    from deploy.images.engine import execute

    current, keep = context.images_now()
    confirm = (lambda _: True) if yes else context.confirm_deletion
    prune(run.session, execute, current, keep, pushed=pushed, confirm=confirm)


@command(json="print the plan as JSON")
def plan(run: Run) -> None:
    """Show what deploy would change, and why; change nothing."""
    from deploy.commands.plan import plan, show
    from deploy.costs import preflight

    steps = plan(run.session)

    def show_with_costs() -> None:
        show(steps, run.session.screen)
        preflight.preview(run.session, steps)

    run.output(steps.to_json(), show_with_costs)


@command(json="print the changes as JSON")
def deploy(run: Run) -> None:
    """Create or update the bucket, roles, endpoints and Lambda."""
    from deploy.commands.deploy import deploy
    from deploy.values import Plan

    steps = deploy(run.session)
    summary = f"{len(steps)} changes made" if steps else "everything is up to date: nothing to do"
    run.output(Plan(steps=steps).to_json(), lambda: print(summary))


@command(json="print targets and activities as JSON")
def autoscale(run: Run) -> None:
    """Apply the scaling of deploy.toml and show what runs."""
    from deploy.commands.autoscale import autoscale

    overview = autoscale(run.session)
    run.output(overview.to_json(), lambda: overview.show(run.session.screen))


@command(
    help={
        "endpoint": "main, NAME of [endpoints.NAME], or lambda (default: main)",
        "to": "an endpoint's older configuration (default: the one before the last deploy)",
    },
)
def rollback(run: Run, endpoint: str = "", to: str = "") -> None:
    """Return to what ran before the last deploy."""
    from deploy.commands.rollback import rollback, rollback_function

    if endpoint == "lambda":
        print(f"version {rollback_function(run.session)} is live; ./inv deploy moves forward again")
    else:
        print(f"serving {rollback(run.session, endpoint, to=to).config}")


@command(
    positional=["picture"],
    help={
        "picture": "a picture file",
        "endpoint": "ask this endpoint, not the Lambda: main, or NAME of [endpoints.NAME]",
        "variant": "ask this variant of the endpoint",
    },
)
def invoke(_: Run, picture: str, endpoint: str = "", variant: str = "") -> None:
    """Classify a picture through the Lambda or an endpoint."""
    from deploy.commands.invoke import invoke, invoke_endpoint, picture_event

    session = context.session(aside=True)
    if endpoint or variant:
        answer = invoke_endpoint(session, endpoint, Path(picture), variant=variant)
    else:
        answer = invoke(session, picture_event(Path(picture)))
    print(dumps(answer, indent=2))
