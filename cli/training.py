"""Pictures and models: data, train, tune, transform, notebook."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cli import context
from cli.context import HERE, user_errors


@task(help={"source": "groceries, or your own folder or archive; data.source of deploy.toml when not given"})
def data(_: Context, source: str = "") -> None:
    """Check pictures and push what changed: ./inv data [groceries|FOLDER]."""
    from deploy.commands.data import push

    with user_errors():
        session = context.session()
        folder, name = context.pictures(source or session.settings.data.source)
        push(session, folder, name, weights=context.weights() if context.wants_weights(session.settings) else None)


@task(
    help={
        "source": "as given to data",
        "name": "what this training is called; endpoint.training names the one that is served",
        "instances": "hosts that train together; training.instance_count when not given",
        "on": "sagemaker, ec2 or local; training.on when not given",
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
    from deploy.commands import train as command

    with user_errors():
        session = context.session()
        where = command.checked(session.settings, on=on, name=name, instances=instances)
        if stop:
            print(f"{command.stop(session, purpose=name)}: stopping")
            return
        chosen = source or session.settings.data.source
        try:
            result = command.train(
                session,
                context.data_name(chosen),
                purpose=name,
                instances=instances or None,
                on=where,
                local=context.local_training(session.settings, chosen) if where == "local" else None,
                show_log=not quiet,
            )
        except KeyboardInterrupt:
            print(f"\n{command.left_running(where)}", file=sys.stderr)
            raise Exit(code=130) from None
        print(f"{result.name}: {result.artifact}")


@task(
    help={
        "source": "as given to data",
        "on": "sagemaker or local; as training.on when not given",
        "train": "then train anew with the best values, as training tuned",
        "stop": "stop the running search instead",
        "json": "for a script to read",
    }
)
def tune(
    _: Context, source: str = "", on: str = "", train: bool = False, stop: bool = False, json: bool = False
) -> None:
    """Search hyperparameters as [tuning] says; the best model becomes training tuned."""
    from deploy.commands import tune as command
    from deploy.jobs import tuning

    with user_errors():
        session = context.session(aside=json)
        if stop:
            print(f"{command.stop(session)}: stopping")
            return
        where, chosen = command.checked(session.settings, on), source or session.settings.data.source
        try:
            found = command.tune(
                session,
                context.data_name(chosen),
                on=where,
                local=context.local_training(session.settings, chosen) if where == "local" else None,
                studies=HERE / ".kennel" / "tuning",
                train_best=train,
            )
        except KeyboardInterrupt:
            print(f"\n{command.left_running(where)}", file=sys.stderr)
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
    from deploy.commands.transform import transform
    from deploy.jobs import transform as jobs

    with user_errors():
        session = context.session(aside=json)
        found = transform(session, source, endpoint=endpoint, instances=instances)
        context.show(session.screen, jobs.HEADINGS, jobs.table(found.answers), json=json)
        if out:
            context.write(Path(out), jobs.as_csv(found.answers))
        if found.missing:
            print(
                f"error: {found.name}: {len(found.missing)} pictures without an answer, the first "
                f"{found.missing[0]}: {found.reason}",
                file=sys.stderr,
            )
            raise Exit(code=1)


@task(positional=["act"], help={"act": "create, open, stop, start or delete", "yes": "do not ask"})
def notebook(_: Context, act: str, yes: bool = False) -> None:
    """A small notebook instance that stops itself when idle: ./inv notebook create|open|stop|start|delete."""
    from deploy.commands import notebook as commands

    with user_errors():
        session = context.session()
        confirm = (lambda *_: True) if yes else context.confirm_lines
        acts = {
            "create": lambda: print(f"{commands.create(session, confirm)}: ./inv notebook open says where"),
            "open": lambda: print(commands.address(session)),
            "stop": lambda: commands.stop(session),
            "start": lambda: commands.start(session),
            "delete": lambda: commands.delete(session, confirm),
        }
        if act not in acts:
            raise Exit(f"no notebook act is called {act!r}: choose from {', '.join(acts)}", 2)
        acts[act]()
