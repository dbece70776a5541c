"""Invoke with Kennel's own help and messages: groups in --list, a version, and what to type instead of a wrong word."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.program import Program
from invoke.tasks import Task
from invoke.util import helpline

HERE = Path(__file__).resolve().parents[1]
WIDTH = 80
UNKNOWN = re.compile(r"No idea what '(.+)' is!", re.DOTALL)
NO_ARGUMENT = re.compile(r"did not receive required positional arguments: (.+)")
NO_NUMBER = re.compile(r"invalid literal for int\(\) with base 10: '(.*)'", re.DOTALL)
NO_VALUE = re.compile(r"Flag <Argument: ([\w-]+).*> needed value")


class Inv(Program):
    """./inv: the given tasks, listed by the module that they come from."""

    def __init__(self, tasks: Sequence[Task[Any]], home: Path = HERE) -> None:
        super().__init__(namespace=Collection(*tasks), name="kennel", binary="./inv")
        self.home = home
        self.every = tuple(tasks)

    def print_version(self) -> None:
        print(version(self.home))

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:
            raise Exit(f"error: {self.explained(error)}", 2) from None

    def parse_cleanup(self) -> None:
        try:
            super().parse_cleanup()
        except ParseError as error:
            raise Exit(f"error: {self.explained(error)}", 2) from None

    def explained(self, error: Exception) -> str:
        """What is wrong with the command line, and what to type."""
        return explain(str(error), getattr(error, "context", None), self.parser.contexts)

    def no_tasks_given(self) -> None:
        self.list_tasks()
        raise Exit

    def list_flat(self) -> None:
        """The tasks in the order of tasks.py, under the first line of their modules' docstrings."""
        print("Usage: ./inv TASK [options] [TASK [options] ...]")
        width = max(len(task.name) for task in self.every)
        for module, group in groupby(self.every, key=lambda task: task.__module__):
            print(f"\n{title(module)}")
            for task in group:
                print(f"  {task.name:<{width}}  {helpline(task) or ''}".rstrip())
        print("\n./inv --help TASK shows a task's options, ./inv --version the version.")

    def print_task_help(self, name: str) -> None:
        context = self.parser.contexts[name]
        words = [name, *(argument.name.upper() for argument in context.positional_args)]
        options = context.help_tuples()
        print(f"Usage: ./inv {' '.join(words)}{' [options]' if options else ''} [TASK ...]\n")
        print(textwrap.fill(" ".join((self.collection[name].__doc__ or "").split()), WIDTH))
        if options:
            print("\nOptions:")
            self.print_columns(options)

    def print_help(self) -> None:
        """The list of tasks: Invoke's own options, which steer shell commands, mean nothing here."""
        self.list_tasks()


def title(module: str) -> str:
    """The first line of a module's docstring, without its full stop."""
    return ((sys.modules[module].__doc__ or module).strip().splitlines()[0]).rstrip(".:")


def version(home: Path) -> str:
    """`kennel 0.1.0 (a1b2c3d)`: the version of pyproject.toml, and the commit where git knows it."""
    from deploy.images.recipe import project_version

    commit = _git(home, "rev-parse", "--short", "HEAD") if (home / ".git").exists() else ""
    return f"kennel {project_version(home)}" + (f" ({commit})" if commit else "")


def _git(home: Path, *words: str) -> str:
    try:
        ended = subprocess.run(["git", "-C", str(home), *words], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def explain(message: str, context: ParserContext | None, contexts: Mapping[str, ParserContext]) -> str:
    """Invoke's parse error in our words. `context` is the task before the wrong word, `contexts` holds all tasks."""
    task = context if context is not None and context.name else None
    if unknown := UNKNOWN.search(message):
        word = unknown[1]
        if word.startswith("-"):
            return _unknown_option(word, task)
        return _unknown_word(word, task, contexts)
    if task and (missing := NO_ARGUMENT.search(message)):
        names = " ".join(re.findall(r"[\w-]+", missing[1])).upper()
        return f"{task.name} needs {names}: ./inv {task.name} {names}"
    if task and (flag := NO_VALUE.search(message)):
        return f"{task.name} --{flag[1]} needs a value: ./inv --help {task.name}"
    if number := NO_NUMBER.search(message):
        return f"{number[1]} is not a whole number"
    return message


def _unknown_option(word: str, task: ParserContext | None) -> str:
    if task is None:
        return f"./inv has no option {word}: ./inv --list lists its tasks"
    near = difflib.get_close_matches(word, [flag for flag in task.flags if flag.startswith("--")], n=1)
    hint = f": did you mean {near[0]}?" if near else f": ./inv --help {task.name} lists its options"
    return f"{task.name} has no option {word}{hint}"


def _unknown_word(word: str, task: ParserContext | None, contexts: Mapping[str, ParserContext]) -> str:
    near = difflib.get_close_matches(word, list(contexts), n=1, cutoff=0.75)
    first = f"no task is called {word}: did you mean {near[0]}?" if near else ""
    option = main_option(task) if task else ""
    second = f"{task.name} takes {word} as --{option}: ./inv {task.name} --{option} {word}" if task and option else ""
    return "\n".join(filter(None, (first, second))) or f"no task is called {word}: ./inv --list lists the tasks"


def main_option(task: ParserContext) -> str:
    """The option that a bare word after a task is probably meant for: its first that takes a value, if it takes no
    bare words anyway."""
    if task.positional_args:
        return ""
    return next((str(argument.name) for argument in task.args.values() if argument.takes_value), "")
