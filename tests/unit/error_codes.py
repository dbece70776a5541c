"""Reads from a package's sources which error codes it raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from pathlib import Path


def raised_codes(folder: Path, constructors: Set[str]) -> dict[str, str]:
    """The first argument of each call of `constructors` under `folder`: the code to its file and line.

    An argument that is not a constant (or a choice of constants) is reported as its source, such as `error.code`.
    """
    return {
        code: f"{path.name}:{call.lineno}"
        for path in sorted(folder.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _name(call.func) in constructors and call.args
        for code in _codes(call.args[0])
    }


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _codes(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.IfExp):
        yield from _codes(argument.body)
        yield from _codes(argument.orelse)
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    else:
        yield ast.unparse(argument)
