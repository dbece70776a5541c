"""Data and models: pictures, training, tuning, batch answers, notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.exceptions import Exit

from cli import context
from cli.command import Run, command, misused, on_interrupt
from cli.context import HERE

SOURCE = "a folder, an archive or groceries (default: data.source)"


@command(help={"source": SOURCE})
def data(run: Run, source: str = "") -> None:
    """Check the pictures and push what changed to S3."""
    from deploy.commands.data import push

    folder, name = context.pictures(source or run.settings.data.source)
    weights = context.weights() if context.uses_starter_weights(run.settings) else None
    push(run.session, folder, name, weights=weights)


@command(
    help={
        "source": SOURCE,
        "name": "the training's name, for endpoint.training (default: train)",
        "instances": "hosts that train together (default: training.instance_count)",
        "on": "sagemaker, ec2 or local (default: training.on)",
        "stop": "stop the running job of this name",
        "quiet": "print epochs only",
    }
)
def train(  # noqa: PLR0917 (each is an option)
    run: Run,
    source: str = "",
    name: str = "train",
    instances: int = 0,
    on: str = "",
    stop: bool = False,
    quiet: bool = False,
) -> None:
    """Train on the pushed pictures and follow the job to its end."""
    from deploy.commands import train as commands

    place = commands.checked(run.settings, on=on, name=name, instances=instances)
    if stop:
        print(f"{commands.stop(run.session, purpose=name)}: stopping")
        return
    source = source or run.settings.data.source
    with on_interrupt(lambda: print(f"\n{commands.left_running(place)}", file=sys.stderr)):
        result = commands.train(
            run.session,
            context.data_name(source),
            purpose=name,
            instances=instances or None,
            on=place,
            local=context.local_training(run.settings, source) if place == "local" else None,
            show_log=not quiet,
        )
    print(f"{result.name}: {result.artifact}")


@command(
    help={
        "source": SOURCE,
        "on": "sagemaker or local (default: training.on)",
        "train": "then train with the best values, as training tuned",
        "stop": "stop the running search",
    },
    json="print the trials as JSON",
)
def tune(run: Run, source: str = "", on: str = "", train: bool = False, stop: bool = False) -> None:
    """Search for the best hyperparameters; the best model is tuned."""
    from deploy.commands import tune as commands
    from deploy.jobs import tuning

    if stop:
        run.say(f"{commands.stop(run.session)}: stopping")
        return
    place, source = commands.checked(run.settings, on), source or run.settings.data.source
    with on_interrupt(lambda: print(f"\n{commands.left_running(place)}", file=sys.stderr)):
        search = commands.tune(
            run.session,
            context.data_name(source),
            on=place,
            local=context.local_training(run.settings, source) if place == "local" else None,
            studies=HERE / ".kennel" / "tuning",
            train_best=train,
        )
    run.output(search.to_json(), lambda: run.session.screen.table(tuning.HEADINGS, tuning.table(search.trials)))


@command(
    positional=["source"],
    help={
        "source": "a folder, or a prefix below s3://BUCKET/transform/",
        "endpoint": "the endpoint whose model to use, such as NAME of [endpoints.NAME] (default: main)",
        "instances": "machines that share the pictures (default: 1)",
        "out": "a CSV file to write all answers to",
    },
    json="print the answers as JSON",
)
def transform(run: Run, source: str, endpoint: str = "", instances: int = 1, out: str = "") -> None:
    """Classify a folder or S3 prefix of pictures in one job."""
    from deploy.commands.transform import transform
    from deploy.jobs import transform as jobs

    result = transform(run.session, source, endpoint=endpoint, instances=instances)
    run.table(jobs.HEADINGS, jobs.table(result.answers))
    if out:
        context.write(Path(out), jobs.as_csv(result.answers))
    if result.missing:
        count, first = len(result.missing), result.missing[0]
        raise Exit(f"error: {result.name}: {count} pictures have no answer; the first is {first}: {result.reason}", 1)


@command(positional=["act"], help={"act": "create, open, stop, start or delete", "yes": "do not ask for confirmation"})
def notebook(run: Run, act: str, yes: bool = False) -> None:
    """Manage a notebook instance that stops itself when idle."""
    from deploy.commands import notebook as commands

    confirm = (lambda *_: True) if yes else context.confirm_lines
    acts = {
        "create": lambda: print(f"{commands.create(run.session, confirm)}: ./inv notebook open prints its address"),
        "open": lambda: print(commands.address(run.session)),
        "stop": lambda: commands.stop(run.session),
        "start": lambda: commands.start(run.session),
        "delete": lambda: commands.delete(run.session, confirm),
    }
    if act not in acts:
        raise misused(f"notebook {act}: unknown action; choose from {', '.join(acts)}")
    acts[act]()
