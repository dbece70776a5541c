"""docs/reference is what the code says, and shows all of it."""

from __future__ import annotations

import re

import pytest

from cli import reference
from contract.hyperparameters import TABLE
from deploy.config.settings import File
from lambda_container.errors import ERRORS as LAMBDA
from serve.errors import ERRORS as SERVER
from tasks import TASKS

PAGES = reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    text = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert text == PAGES[name], "run .venv/bin/python -m cli.reference"


def test_nothing_else_stands_in_the_folder() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(PAGES)


def test_every_command_with_each_of_its_options_is_there() -> None:
    for task in TASKS:
        [body] = re.findall(rf"^## {task.name}\n(.*?)(?=^## |\Z)", PAGES["commands.md"], re.MULTILINE | re.DOTALL)
        for argument in task.get_arguments():
            assert f"`{str(argument.name).upper()}`" in body or f"`--{argument.name}" in body


def test_every_key_of_deploy_toml_is_there_with_its_meaning() -> None:
    page = PAGES["deploy-toml.md"]
    for table, model in reference.tables(File):
        [body] = re.findall(rf"^## \[{re.escape(table)}\]\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", body, re.MULTILINE))
        keys = {info.alias or name for name, info in model.model_fields.items() if reference.section(info) is None}
        assert set(rows) == keys
        assert [key for key, meaning in rows.items() if not meaning.strip()] == [], f"[{table}]: no meaning"


def test_every_hyperparameter_and_every_error_code_is_there() -> None:
    assert [name for name in TABLE if f"| `{name}` |" not in PAGES["hyperparameters.md"]] == []
    assert [code for code in (*SERVER, *LAMBDA) if f"| `{code}` |" not in PAGES["errors.md"]] == []


def test_every_environment_variable_of_localcloud_is_there() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (reference.REPOSITORY / "localcloud").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"KENNEL_LOCALCLOUD_[A-Z_]*[A-Z]", text)}
    assert [name for name in named if f"| `{name}` |" not in PAGES["localcloud.md"]] == []
