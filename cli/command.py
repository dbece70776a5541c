"""What every task shares: errors for people, Ctrl-C, --json, and the session with the stage."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from cli import context

if TYPE_CHECKING:
    from deploy.config.settings import Settings
    from deploy.session import Session

INTERRUPTED = 130  # what a shell reports after Ctrl-C


@dataclass(frozen=True)
class Run:
    """One run of a task. With `json` its result goes to stdout as JSON, and everything else to stderr."""

    json: bool = False

    @cached_property
    def settings(self) -> Settings:
        return context.settings()

    @cached_property
    def session(self) -> Session:
        return context.session(self.settings, aside=self.json)

    def say(self, text: str) -> None:
        """Prints a line for people."""
        print(text, file=sys.stderr if self.json else sys.stdout, flush=True)

    def output(self, value: Any, show: Callable[[], None]) -> None:
        """Prints `value` as JSON (a string is JSON already), or shows it to a person."""
        if self.json:
            print(value if isinstance(value, str) else dumps(value, indent=2, default=str))
        else:
            show()

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Prints a table, or its rows as JSON objects."""
        objects = [dict(zip(headings, row, strict=True)) for row in rows]
        self.output(objects, lambda: self.session.screen.table(headings, rows))


def command(
    *, help: Mapping[str, str] | None = None, positional: Sequence[str] = (), json: str = ""
) -> Callable[[Callable[..., None]], Task[Any]]:
    """Makes an Invoke task of a function whose first parameter is a Run.

    The function's docstring and other parameters are the task's help and options; `json` is the help of a --json
    option, which the task gets only with it.
    """

    def decorate(body: Callable[..., None]) -> Task[Any]:
        @functools.wraps(body)
        def run(_: Context, **options: Any) -> None:
            chosen = Run(json=options.pop("json", False)) if json else Run()
            try:
                with user_errors():
                    body(chosen, **options)
            except KeyboardInterrupt:
                raise Exit(code=INTERRUPTED) from None

        signature = inspect.signature(body)
        flag = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False)
        added = [flag] if json else []
        run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
        texts = {**(help or {}), **({"json": json} if json else {})}
        return Task(run, positional=positional, help=texts)

    return decorate


@contextmanager
def user_errors() -> Iterator[None]:
    """Ends the command with the message of an error that a person can fix; a bug keeps its traceback."""
    from deploy.errors import DeployError
    from deploy.images.engine import EngineError
    from deploy.images.recipe import ImageError
    from localcloud.errors import LocalcloudError
    from starter.packages import FetchError

    try:
        yield
    except (EngineError, ImageError, DeployError, LocalcloudError, FetchError) as error:
        raise Exit(f"error: {error}", 1) from None


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """Acts after Ctrl-C, before the command ends."""
    try:
        yield
    except KeyboardInterrupt:
        act()
        raise


def misused(message: str) -> Exit:
    """The error for an option that the command does not take as it is."""
    return Exit(f"error: {message}", 2)
