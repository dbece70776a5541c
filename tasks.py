"""The project's tasks: thin, and the only place that wires the rooms together."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

HERE = Path(__file__).resolve().parent


@task(help={"image": "train, serve or lambda; all when not given"}, positional=["image"])
def build(_: Context, image: str = "") -> None:
    """Build the images, or find them built."""
    from deploy.engine import EngineError
    from deploy.images import KINDS, ImageError
    from deploy.workshop import Workshop

    workshop = Workshop(repository=HERE)
    try:
        for kind in [kind for kind in KINDS if kind == image] if image else ("serve", "lambda", "train"):
            workshop.build(kind)
    except (EngineError, ImageError) as error:
        raise Exit(str(error), 1) from None
