"""Reads from a package's sources which error codes it raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def raised_codes(folder: Path, constructors: Set[str]) -> dict[str, str]:
    """The first argument of each call of `constructors` under `folder`: the code to its file and line.

    A choice `a if … else b` gives both codes, also through a local variable. Any other argument gives its source, such
    as `error.code`.
    """
    return {
        code: f"{path.name}:{call.lineno}"
        for path in sorted(folder.rglob("*.py"))
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, Function)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _name(call.func) in constructors and call.args
        for code in _codes(call.args[0], function)
    }


def _name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""


def _codes(argument: ast.expr, function: Function) -> Iterator[str]:
    if isinstance(argument, ast.IfExp):
        yield from _codes(argument.body, function)
        yield from _codes(argument.orelse, function)
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.Name) and (values := _assigned(argument.id, function)):
        for value in values:
            yield from _codes(value, function)
    else:
        yield ast.unparse(argument)


def _assigned(name: str, function: Function) -> list[ast.expr]:
    assignments = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return [node.value for node in assignments if [_name(target) for target in node.targets] == [name]]
