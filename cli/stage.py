"""Where things happen: a stage, the local AWS, the demo, and the end of it all."""

from __future__ import annotations

import os
import signal
from collections import Counter
from json import dumps

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cli import context
from cli.context import HERE, user_errors


@task(positional=["stage"], help={"stage": "local, or one of your own in deploy.toml"})
def on(_: Context, stage: str) -> None:
    """Choose the stage for the tasks that follow: ./inv on prod plan deploy (or set KENNEL_STAGE)."""
    os.environ["KENNEL_STAGE"] = stage
    with user_errors():
        context.settings()


@task
def up(_: Context) -> None:
    """Start the local AWS in the background, and say where it answers."""
    with user_errors():
        print(f"AWS answers at {context.local_aws(context.settings()).endpoint_url}")


@task(
    help={
        "yes": "do not ask",
        "data": "the bucket with all it holds too",
        "images": "the pushed images too",
        "deployer": "the role for those who deploy too",
        "json": "what went and what was kept, for a script to read",
    }
)
def down(
    _: Context,
    yes: bool = False,
    data: bool = False,
    images: bool = False,
    deployer: bool = False,
    json: bool = False,
) -> None:
    """Take away everything of the stage, and prove that nothing is left."""
    from deploy.commands.down import Down, down
    from localcloud import daemon

    with user_errors():
        settings = context.settings()
        say, done = (context.tell_aside if json else print), Down()
        local = bool(settings.stage.endpoint_url)  # a local AWS goes whole
        asked = {"data": data, "images": images, "deployer": deployer}
        also = {name for name, wanted in asked.items() if wanted or local}
        if not local or daemon.status(context.state_dir(settings)).healthy:
            confirm = (lambda _: True) if yes else context.confirm_deletion
            done = down(context.session(settings, aside=json), confirm, also=also)
            say(f"{settings.prefix}: {len(done.gone)} resources taken away, none left")
            for address in done.kept:
                say(f"kept: {address} (--data, --images and --deployer take these too)")
        if local:
            context.stop_local_aws(settings, say)
        if json:
            print(dumps({"gone": [step.address for step in done.gone], "kept": list(done.kept)}, indent=2))


@task
def page(_: Context) -> None:
    """The address of the local endpoint's page, to drop pictures on."""
    with user_errors():
        print(context.page(context.settings()))


@task
def demo(_: Context) -> None:
    """The whole path on this machine: pictures, training, endpoint, Lambda, five answers."""
    from urllib.parse import urlsplit

    from deploy.commands.demo import Demo

    with user_errors():
        settings = context.settings()
        seen: Counter[str] = Counter()
        session = context.session(settings, seen)

        def build() -> None:
            for kind in ("serve", "lambda", "train"):
                session.build(kind)

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            Demo(
                session=session,
                build=build,
                up=lambda: urlsplit(context.local_aws(settings).info["container_url"]).hostname or "",
                groceries=lambda: context.pictures("groceries")[0],
                weights=context.weights,
                page=lambda: context.page(settings),
                runs=HERE / ".kennel" / "runs",
                screen=session.screen,
                sent=seen,
            ).run()
        except KeyboardInterrupt:
            print("\nstopped: taking away what runs")
            context.stop_local_aws(settings)
            raise Exit(code=130) from None
