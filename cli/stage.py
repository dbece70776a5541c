"""Stages: the demo, the choice of a stage, the local AWS, and how to delete it all."""

from __future__ import annotations

import os
import signal
from collections import Counter
from urllib.parse import urlsplit

from cli import context
from cli.command import Run, command, on_interrupt
from cli.context import HERE


@command(positional=["stage"], help={"stage": "local, or NAME of [stages.NAME]"})
def on(_: Run, stage: str) -> None:
    """Choose the stage for the tasks that follow it."""
    os.environ["KENNEL_STAGE"] = stage
    context.settings()  # raises SettingsError for an unknown stage


@command(help={"iam": "judge every request by its caller's IAM policies, as AWS does"})
def up(run: Run, iam: bool = False) -> None:
    """Start the local AWS in the background."""
    print(f"the local AWS listens on {context.local_aws(run.settings, iam=iam).endpoint_url}")


@command(
    help={
        "yes": "do not ask for confirmation",
        "data": "delete the bucket and its contents too",
        "images": "delete the pushed images too",
        "deployer": "delete the deployers' role too",
    },
    json="print what was deleted and kept as JSON",
)
def down(run: Run, yes: bool = False, data: bool = False, images: bool = False, deployer: bool = False) -> None:
    """Delete everything of the stage, then verify."""
    from deploy.commands.down import Down, down, option_to_delete
    from localcloud import daemon

    done = Down()
    is_local = bool(run.settings.stage.endpoint_url)
    # A local AWS is deleted whole, but nobody can delete the role that they act with.
    is_root = is_local and run.settings.stage.credentials == "dummy"
    options = {"data": data or is_local, "images": images or is_local, "deployer": deployer or is_root}
    also = {name for name, chosen in options.items() if chosen}
    if not is_local or daemon.status(context.state_dir(run.settings)).healthy:
        confirm = (lambda _: True) if yes else context.confirm_deletion
        done = down(run.session, confirm, also=also)
        run.say(f"{run.settings.prefix}: {len(done.gone)} resources deleted, none left")
        for address in done.kept:
            run.say(f"kept: {address} (--{option_to_delete(address)} deletes it too)")
    if is_local:
        context.stop_local_aws(run.settings, run.say)
    run.output({"gone": [step.address for step in done.gone], "kept": list(done.kept)}, lambda: None)


@command()
def page(run: Run) -> None:
    """Print the address of the local endpoint's web page."""
    print(context.page(run.settings))


@command(help={"compare": "also train from random weights, for comparison"})
def demo(run: Run, compare: bool = False) -> None:
    """Train, deploy and query a classifier on this machine."""
    from deploy.commands.demo import Demo

    settings = run.settings
    sent: Counter[str] = Counter()
    session = context.session(settings, sent, live_builds=False)

    def stop() -> None:
        print("\ninterrupted: stopping the local AWS")
        context.stop_local_aws(settings)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with on_interrupt(stop):
        Demo(
            session=session,
            up=lambda: urlsplit(context.local_aws(settings).info["container_url"]).hostname or "",
            groceries=lambda: context.pictures("groceries")[0],
            weights=context.weights,
            page=lambda: context.page(settings),
            runs=HERE / ".kennel" / "runs",
            screen=session.screen,
            compare=compare,
            sent=sent,
        ).run()
