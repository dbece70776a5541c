"""Writes docs/reference/ from the code: commands, deploy.toml, hyperparameters, error codes, the artifact's format,
localcloud's settings.

`python -m cli.reference` writes the files; a test fails when they are not what the code says.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from invoke.tasks import Task
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deploy.config.section import Scalar

if TYPE_CHECKING:
    from contract.hyperparameters import Hyperparameter

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "docs" / "reference"
MADE = "<!-- made by `python -m cli.reference`; do not edit -->\n"
BOUNDS: Mapping[type, tuple[str, str]] = {
    Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt"),
    MultipleOf: ("a multiple of", "multiple_of"), MinLen: ("length at least", "min_length"),
    MaxLen: ("length at most", "max_length"),
}  # fmt: skip


def pages() -> dict[str, str]:
    """Every page of the reference: file name → its text."""
    return {
        "commands.md": commands(),
        "deploy-toml.md": deploy_toml(),
        "hyperparameters.md": hyperparameters(),
        "errors.md": errors(),
        "artifact.md": artifact(),
        "localcloud.md": localcloud(),
    }


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


# ---------------------------------------------------------------------------------------------- commands


def commands() -> str:
    """Every task with its options."""
    import tasks as project

    lines = [
        MADE,
        "# Commands\n",
        "Options follow their command. Several commands in one line run one after the other.\n",
    ]
    for task in project.TASKS:
        lines += _command(task)
    return "\n".join(lines)


def _command(task: Task[Any]) -> Iterator[str]:
    yield f"## {task.name}\n"
    yield f"{inspect.cleandoc(task.__doc__ or '')}\n"
    arguments = task.get_arguments()
    if arguments:
        yield "| option | default | meaning |\n|---|---|---|"
        for argument in arguments:
            yield f"| {_option(argument)} | {_shown(argument.default)} | {_cell(argument.help or '')} |"
        yield ""


def _option(argument: Any) -> str:
    if argument.positional:
        return f"`{argument.name.upper()}`"
    flags = [f"--{name}" if len(name) > 1 else f"-{name}" for name in argument.names]
    value = "" if argument.kind is bool else " VALUE"
    return ", ".join(f"`{flag}{value}`" for flag in flags)


def _shown(default: Any) -> str:
    return "" if default in (None, "", False, 0) or default is inspect.Parameter.empty else f"`{default}`"


# ---------------------------------------------------------------------------------------------- deploy.toml


def deploy_toml() -> str:
    """Every key of deploy.toml: type, default, limits, and its comment in deploy.toml."""
    from deploy.config.settings import File

    comments = key_comments((REPOSITORY / "deploy.toml").read_text(encoding="utf-8"))
    intro = (
        "Keys that are left out have the default. Unknown keys are errors. `NAME` is a name of your own: lower-case\n"
        "letters, digits and single hyphens.\n"
    )
    lines = [MADE, "# deploy.toml\n", intro]
    for table, model in tables(File):
        lines += [f"## [{table}]\n", f"{inspect.cleandoc(model.__doc__ or '')}\n"]
        lines += ["| key | type | default | meaning |\n|---|---|---|---|"]
        for name, info in model.model_fields.items():
            if section(info) is None:
                key = info.alias or name
                comment = comments.get(f"{comment_table(table)}.{key}") or info.description or ""
                cells = (f"`{key}`", _type(info), _default(info), _cell(comment))
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def tables(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table that deploy.toml may hold, as it is written there, with its model."""
    for name, info in model.model_fields.items():
        inner = section(info)
        if inner is None:
            continue
        key = f"{prefix}{info.alias or name}" + (".NAME" if get_origin(info.annotation) is dict else "")
        yield key, inner
        if key != "endpoints.NAME":  # the same keys as [endpoint]
            yield from tables(inner, f"{key}.")


def section(info: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that holds a table, or tables by name."""
    kinds = [info.annotation, *get_args(info.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def comment_table(table: str) -> str:
    """The table of deploy.toml that explains another's keys: one example stands for all of a kind."""
    return table.replace("stages.NAME", "stages.local").replace("endpoints.NAME", "endpoint")


def key_comments(text: str) -> dict[str, str]:
    """`table.key` → the comment on its line."""
    comments, table = {}, ""
    for line in text.splitlines():
        if found := re.match(r"\[([\w.-]+)\]", line):
            table = found[1]
        elif found := re.match(r"([\w-]+) = .*?\s{2,}# (.+)$", line):
            comments[f"{table}.{found[1]}"] = found[2]
    return comments


def _type(info: FieldInfo) -> str:
    return _cell(f"{kind_words(info.annotation)}{_limits(info.metadata)}")


def kind_words(kind: Any) -> str:
    """A type for people."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return "value" if kind == Scalar else " or ".join(kind_words(each) for each in inner if each is not type(None))
    if origin is tuple:
        return f"list of {kind_words(inner[0])}"
    if origin is dict:
        return f"table of {kind_words(inner[1])}"
    if hasattr(kind, "__metadata__"):
        return kind_words(inner[0])
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "value"}
    return "object" if is_dataclass(kind) else names.get(kind, getattr(kind, "__name__", str(kind)))


def _limits(metadata: list[Any]) -> str:
    limits = [
        f"{words} {getattr(limit, attribute):,}"
        for limit in metadata
        for kind, (words, attribute) in BOUNDS.items()
        if isinstance(limit, kind)
    ]
    return f"; {', '.join(limits)}" if limits else ""


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True)
    if default in ("", (), {}, None) or isinstance(default, BaseModel):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


# ---------------------------------------------------------------------------------------------- hyperparameters


def hyperparameters() -> str:
    """Every hyperparameter: default, values, meaning."""
    from contract.hyperparameters import TABLE

    intro = (
        "In `[training.hyperparameters]` of deploy.toml, in SageMaker's HyperParameters, and as flags of\n"
        "`docker run kennel-train` (`--batch-size` or `--batch_size`). `auto` leaves the choice to the trainer.\n"
    )
    lines = [MADE, "# Hyperparameters\n", intro]
    for group in dict.fromkeys(each.group for each in TABLE.values()):
        lines += [f"## {group.capitalize()}\n", "| name | values | default | meaning |\n|---|---|---|---|"]
        for each in (each for each in TABLE.values() if each.group == group):
            default = "auto" if each.default is None else str(each.default).lower()
            lines.append(f"| `{each.name}` | {_values(each)} | `{default}` | {_cell(each.help)} |")
        lines.append("")
    return "\n".join(lines)


def _values(declared: Hyperparameter) -> str:
    if declared.choices:
        return ", ".join(f"`{choice}`" for choice in declared.choices)
    low = f", at least {declared.low:g}" if math.isfinite(declared.low) else ""
    high = f", at most {declared.high:,}" if math.isfinite(declared.high) else ""
    return f"{declared.kind}{low}{high}"


# ---------------------------------------------------------------------------------------------- error codes


def errors() -> str:
    """Every error code of the server and of the Lambda."""
    from lambda_container.errors import ERRORS as LAMBDA
    from serve.errors import ERRORS as SERVER

    server = {code: (kind.status, kind.meaning) for code, kind in SERVER.items()}
    intro = (
        'An error answer is `{"error": {"code": "…", "message": "…"}}`.\n'
        "Programs compare the code; the message is for people.\n"
    )
    lines = [MADE, "# Error codes\n", intro]
    for title, table in (("The server", server), ("The Lambda", LAMBDA)):
        lines += [f"## {title}\n", "| status | code | meaning |\n|---|---|---|"]
        lines += [f"| {status} | `{code}` | {_cell(meaning)} |" for code, (status, meaning) in table.items()]
        lines.append("")
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------- the artifact


def artifact() -> str:
    """The files of an artifact, and the keys of model.json."""
    from contract import artifact as contract

    description, _, files = inspect.cleandoc(contract.__doc__ or "").partition("\n\n")
    lines = [MADE, "# The artifact\n", f"{description}\n", "| file | holds |\n|---|---|"]
    lines += [f"| `{name}` | {_cell(text)} |" for name, text in _listed(files)]
    lines += ["", "## model.json\n", f"Format version {contract.FORMAT_VERSION}.\n"]
    lines += _keys("", contract.Manifest)
    return "\n".join(lines) + "\n"


def _listed(text: str) -> Iterator[tuple[str, str]]:
    """(name, description) of lines `name   description`, whose descriptions may go on indented."""
    for block in re.split(r"\n(?=\S)", text.strip()):
        name, _, rest = block.partition(" ")
        yield name, " ".join(rest.split())


def _keys(prefix: str, kind: Any) -> Iterator[str]:
    yield "| key | type | default |\n|---|---|---|" if not prefix else ""
    hints = get_type_hints(kind)
    for each in fields(kind):
        inner = hints[each.name]
        default = "required" if each.default is MISSING and each.default_factory is MISSING else ""
        yield f"| `{prefix}{each.name}` | {_cell(kind_words(inner))} | {default} |"
        if is_dataclass(inner):
            yield from (row for row in _keys(f"{prefix}{each.name}.", inner) if row)


# ---------------------------------------------------------------------------------------------- localcloud


def localcloud() -> str:
    """localcloud's environment variables, and what is seen late with a lag."""
    from localcloud.environment import LAG, VARIABLES
    from localcloud.faults.late import KINDS

    intro = "`./inv up` and `python -m localcloud` read these variables when they start.\n"
    lines = [MADE, "# localcloud's settings\n", intro, "| variable | values | default | meaning |\n|---|---|---|---|"]
    lines += [
        f"| `{each.name}` | {_cell(each.values)} | {each.default} | {_cell(each.meaning)} |" for each in VARIABLES
    ]
    lines += [
        f"\n## What {LAG.name} makes late\n",
        "Get, Describe, Head and List see a new resource at once; so does every operation that is not named here.\n",
        "| new | seen late by | AWS's answer until then | seen on AWS in |\n|---|---|---|---|",
    ]
    for kind in KINDS:
        for late in kind.late:
            operations = ", ".join(f"`{each}`" for each in late.operations)
            lines.append(f"| {kind.name} | {operations} | {late.code}: {_cell(late.message)} | {late.source} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write()
