"""House rules that a reviewer would otherwise have to check by hand."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext
from invoke.tasks import Task

import tasks as project_tasks
from cli.program import Inv
from deploy.images.lockfiles import LOCKS

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("contract", "train", "serve", "lambda_container", "deploy", "localcloud", "starter", "cli")
PRODUCT = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for package in PACKAGES
    for path in (REPOSITORY / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
TESTS = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "tests").rglob("*.py"))
LOCKED = [lock.output for lock in LOCKS]
DOCUMENTS = sorted(  # written by hand; docs/reference is made from the code
    path.relative_to(REPOSITORY).as_posix()
    for path in (REPOSITORY / "docs").rglob("*.md")
    if path.parent.name != "reference"
)


@pytest.mark.parametrize("module", PRODUCT)
def test_a_module_has_at_most_400_lines(module: str) -> None:
    assert len((REPOSITORY / module).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("module", PRODUCT)
def test_the_product_raises_and_never_asserts(module: str) -> None:
    tree = ast.parse((REPOSITORY / module).read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("module", PRODUCT)
def test_no_module_changes_the_working_folder(module: str) -> None:
    assert "os.chdir(" not in (REPOSITORY / module).read_text(encoding="utf-8")


@pytest.mark.parametrize("module", PRODUCT)
def test_archives_are_unpacked_entry_by_entry_since_python_3_11_2_has_no_extraction_filters(module: str) -> None:
    assert ".extractall(" not in (REPOSITORY / module).read_text(encoding="utf-8")


@pytest.mark.parametrize("module", TESTS)
def test_tests_use_fakes_and_not_patches(module: str) -> None:
    patches = ("mock" + ".patch", "unittest" + ".mock", "monkeypatch" + ".setattr")
    text = (REPOSITORY / module).read_text(encoding="utf-8")
    assert [patch for patch in patches if patch in text] == []


@pytest.mark.parametrize("lock", LOCKED)
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_every_package_folder_of_tests_can_hold_files_of_the_same_name() -> None:
    folders = {(REPOSITORY / path).parent for path in TESTS}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_images_start_their_program_without_a_shell() -> None:
    for path in sorted((REPOSITORY / "docker").glob("*.Dockerfile")):
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("ENTRYPOINT", "CMD"))
        ]
        assert lines
        assert all(re.fullmatch(r'(ENTRYPOINT|CMD) \["[^$]*"\]', line) for line in lines)


def test_the_documents_show_every_task_and_no_other() -> None:
    tasks = {task.name for task in project_tasks.TASKS}
    names = ("README.md", "CONTRIBUTING.md", *DOCUMENTS)
    documents = "".join((REPOSITORY / name).read_text(encoding="utf-8") for name in names)
    calls = re.findall(r"\./inv ((?:[a-z]+ ?)+)", documents)
    shown = {word for call in calls for word in call.split()}
    assert tasks - shown == set()
    assert {call.split()[0] for call in calls} - tasks == set()


def parse(command: str) -> None:
    """Raises ParseError for a command line of ./inv that Invoke does not take."""
    every = [ParserContext(name=task.name, args=copy(task).get_arguments()) for task in project_tasks.TASKS]
    Parser(contexts=every, initial=ParserContext(args=Inv(()).core_args())).parse_argv(shlex.split(command))


def copy(task: Task[Any]) -> Task[Any]:
    """The same task with its own help texts, which Invoke takes out of it when it parses."""
    return Task(task.body, positional=task.positional, help=dict(task.help))


COMMANDS = {
    f"{name}: {command}": command
    for name in ("README.md", "CONTRIBUTING.md", *DOCUMENTS)
    for line in re.findall(r"\./inv ([^`\n]+)", (REPOSITORY / name).read_text(encoding="utf-8"))
    if "…" not in (command := re.split(r" +#|, |[.;)](?: |$)", line)[0].strip())
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_that_the_documents_show_can_be_typed(command: str) -> None:
    if command not in {task.name for task in project_tasks.TASKS}:  # a task's name alone speaks of the task
        parse(command)


def test_a_command_of_another_form_cannot_be_typed() -> None:
    for command in ("build trian", "data ./pictures", "rollback --endpont main", "why", "deplyo"):
        with pytest.raises(ParseError):
            parse(command)


MESSAGE = re.compile(r"\./inv ([a-z]+)((?: --[a-z-]+(?:[ =](?:\{[^}]*\}|[\w./-]+))?)*)( \{)?")


@pytest.mark.parametrize("module", [*PRODUCT, "deploy.toml"])
def test_every_command_that_a_message_names_has_the_options_that_it_names(module: str) -> None:
    tasks = {task.name: task for task in project_tasks.TASKS}
    for name, options, value in MESSAGE.findall((REPOSITORY / module).read_text(encoding="utf-8")):
        if name not in tasks:  # prose about ./inv
            assert not options
            continue
        flags = {f"--{argument.name}" for argument in copy(tasks[name]).get_arguments()}
        assert set(re.findall(r"--[a-z-]+", options)) <= flags
        assert not value or tasks[name].positional, f"{name} takes no bare word"


CITATION = re.compile(r"\b(rule|pain)s? (\d+(?:(?:–|-|, | and |, and )\d+)*)")


def citations(text: str) -> set[tuple[str, int]]:
    """Every rule and pain that a text cites; for a range, its ends."""
    return {(kind, int(number)) for kind, numbers in CITATION.findall(text) for number in re.findall(r"\d+", numbers)}


def test_every_rule_and_pain_that_is_cited_is_documented() -> None:
    contracts = (REPOSITORY / "docs" / "aws-contracts.md").read_text(encoding="utf-8")
    known = {(kind.lower(), int(number)) for kind, number in re.findall(r"^#### (Rule|Pain) (\d+): ", contracts, re.M)}
    texts = [
        *PRODUCT,
        *TESTS,
        *(path.as_posix() for path in (REPOSITORY / "docker").glob("*.Dockerfile")),
        "deploy.toml",
    ]
    missing = {
        path: sorted(citations((REPOSITORY / path).read_text(encoding="utf-8")) - known)
        for path in texts
        if path != "tests/unit/test_conventions.py"
    }
    assert {path: numbers for path, numbers in missing.items() if numbers} == {}
    assert len(known) > 80


def test_citations_are_recognised_in_all_their_forms() -> None:
    text = "rule 26 (rules 47–50, 54; rules 28, 29 and 30, pain 2), a rule of thumb, pains 9, 10"
    rules = {("rule", number) for number in (26, 47, 50, 54, 28, 29, 30)}
    assert citations(text) == rules | {("pain", 2), ("pain", 9), ("pain", 10)}


@pytest.mark.parametrize("module", [*PRODUCT, *TESTS])
def test_nothing_cites_a_document_that_is_not_in_the_project(module: str) -> None:
    text = (REPOSITORY / module).read_text(encoding="utf-8")
    assert re.findall(r"\b(?:CONTRACTS|LESSONS|DESIGN|HOUSE)(?:\.md| \d)", text) == []


MARKDOWN = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md", *DOCUMENTS)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(
    r"`((?:cli|contract|deploy|docker|docs|lambda_container|localcloud|serve|starter|tests|train)/[\w./-]+)`"
)


@pytest.mark.parametrize("document", MARKDOWN)
def test_links_and_paths_of_the_documents_exist(document: str) -> None:
    path = REPOSITORY / document
    text = path.read_text(encoding="utf-8")
    links = [path.parent / link for link in LINK.findall(text)]
    named = [REPOSITORY / name for name in NAMED.findall(text) if "<" not in name and not name.startswith("tests/aws/")]
    missing = [each.relative_to(REPOSITORY).as_posix() for each in (*links, *named) if not each.exists()]
    assert missing == []
    assert "@@" not in text
