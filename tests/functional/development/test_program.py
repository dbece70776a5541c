"""./inv as a program: its list, its help, its version, and what it answers to a command line that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

import tasks as project
from cli import context
from cli.command import Run, command, on_interrupt
from cli.program import Inv, version
from deploy.aws.client import Client
from deploy.config.settings import load
from deploy.errors import DeployError

OPTIONS = {task.name: dict(task.help) for task in project.TASKS}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and all that ./inv prints; the words name no task that would do anything."""
    for task in project.TASKS:
        task.help = dict(OPTIONS[task.name])  # Invoke takes the texts out of it when it parses
    with pytest.raises(SystemExit) as ended:
        Inv(project.TASKS).run(["inv", *words])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out + captured.err


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("deplyo", "no task is called deplyo: did you mean deploy?"),
        ("frobnicate", "no task is called frobnicate: ./inv --list lists the tasks"),
        ("status x", "no task is called x: ./inv --list lists the tasks"),
        ("data ./pictures", "data takes ./pictures as --source: ./inv data --source ./pictures"),
        ("build serve", "build takes serve as --image: ./inv build --image serve"),
        ("rollback lambda", "rollback takes lambda as --endpoint: ./inv rollback --endpoint lambda"),
        (
            "build trian push",
            "no task is called trian: did you mean train?\nbuild takes trian as --image: ./inv build --image trian",
        ),
        ("--frobnicate", "./inv has no option --frobnicate: ./inv --list lists its tasks"),
        ("build --imgae=train", "build has no option --imgae: did you mean --image?"),
        ("build -x", "build has no option -x: ./inv --help build lists its options"),
        ("why", "why needs NAME: ./inv why NAME"),
        ("data --source", "data --source needs a value: ./inv --help data"),
        ("train --instances two", "two is not a whole number"),
        ("--help deplyo", "no task is called deplyo: did you mean deploy?"),
    ],
)
def test_a_wrong_command_line_is_answered_with_what_to_type(
    capsys: pytest.CaptureFixture[str], words: str, answers: str
) -> None:
    assert answer(capsys, *words.split()) == (2, f"error: {answers}\n")


def test_the_list_names_every_task_once_and_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = answer(capsys)
    assert (code, text) == answer(capsys, "--list")
    assert re.findall(r"^  (\w+)  ", text, re.MULTILINE) == [task.name for task in project.TASKS]
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("task", project.TASKS, ids=lambda task: task.name)
def test_every_task_explains_itself_in_one_sentence_and_each_option_in_a_phrase(
    capsys: pytest.CaptureFixture[str], task: Task[Any]
) -> None:
    sentence = (task.__doc__ or "").strip()
    assert re.fullmatch(r"[A-Z][a-z]+,? [^\n]+\.", sentence)
    code, text = answer(capsys, "--help", task.name)
    assert code == 0
    assert sentence in text
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert OPTIONS[task.name].keys() == {argument.name for argument in task.get_arguments()}
    assert [phrase for phrase in OPTIONS[task.name].values() if not re.fullmatch(r"(?![A-Z][a-z]).+[^.]", phrase)] == []


def test_the_version_is_pyprojects_with_the_commit_where_git_knows_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, text = answer(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"kennel \d+\.\d+\.\d+( \([0-9a-f]{7,}\))?\n", text)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "kennel"\nversion = "1.2.3"\n')
    assert version(tmp_path) == "kennel 1.2.3"
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    assert re.fullmatch(r"kennel 1\.2\.3 \([0-9a-f]{7,}\)", version(tmp_path))


def test_a_command_gets_its_options_and_json_only_where_it_is_declared(capsys: pytest.CaptureFixture[str]) -> None:
    @command(help={"name": "a name"}, json="print JSON")
    def greet(run: Run, name: str = "you") -> None:
        """Greet."""
        run.output({"hello": name}, lambda: say(f"hello {name}"))

    @command()
    def plain(run: Run) -> None:
        """Do nothing."""

    greet(Context(), name="me", json=True)
    greet(Context())
    assert capsys.readouterr().out == '{\n  "hello": "me"\n}\nhello you\n'
    assert [argument.name for argument in greet.get_arguments()] == ["name", "json"]
    assert plain.get_arguments() == []


def test_an_error_for_people_ends_a_command_with_its_text_and_a_bug_keeps_its_traceback() -> None:
    @command()
    def fail(_: Run) -> None:
        """Fail."""
        raise DeployError("deploy.toml: missing; write one")

    @command()
    def break_(_: Run) -> None:
        """Break."""
        raise ZeroDivisionError

    with pytest.raises(Exit) as ended:
        fail(Context())
    assert (ended.value.code, ended.value.message) == (1, "error: deploy.toml: missing; write one")
    with pytest.raises(ZeroDivisionError):
        break_(Context())


def test_ctrl_c_ends_a_command_with_130_after_it_has_cleaned_up(capsys: pytest.CaptureFixture[str]) -> None:
    @command()
    def wait(_: Run) -> None:
        """Wait."""
        with on_interrupt(lambda: say("stopped")):
            raise KeyboardInterrupt

    with pytest.raises(Exit) as ended:
        wait(Context())
    assert ended.value.code == 130
    assert capsys.readouterr().out == "stopped\n"


@pytest.mark.parametrize("aside", [False, True])
def test_what_the_aws_client_waits_for_is_told_where_the_command_prints(
    aside: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load(context.HERE / "deploy.toml", environ={"KENNEL_STAGE": "local"})
    made = context.session(settings, aside=aside)
    assert isinstance(made.call, Client)
    made.call.say("CreateModel: waiting up to 2 minutes until SageMaker may use the role")
    told = capsys.readouterr()
    assert (told.err if aside else told.out) == (
        "   CreateModel: waiting up to 2 minutes until SageMaker may use the role\n"
    )
