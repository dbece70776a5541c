"""The hyperparameters from the command line and from SageMaker's hyperparameters.json (contract.hyperparameters)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from contract.hyperparameters import (
    TABLE,
    Hyperparameter,
    HyperparameterError,
    Hyperparameters,
    normalised,
    unknown,
)

IGNORED_PREFIX = "sagemaker_"  # the SDK's own entries
IGNORED = ("_tuning_objective_metric",)  # rule 19


def from_hyperparameters(values: Mapping[str, Any]) -> Hyperparameters:
    """Reads SageMaker's string map: values raw or JSON-quoted, keys with dash or underscore (rules 4, 5).

    Ignores SageMaker's own keys. Raises HyperparameterError for an unknown key, a doubled key or a wrong value.
    """
    chosen: dict[str, Any] = {}
    for key, raw in values.items():
        name = normalised(key)
        if name.startswith(IGNORED_PREFIX) or name in IGNORED:
            continue
        if name not in TABLE:
            raise HyperparameterError(unknown(key))
        if name in chosen:
            raise HyperparameterError(f"{name} is given twice (with dash and with underscore): keep one")
        chosen[name] = TABLE[name].parse(_unquote(raw))
    return Hyperparameters(**chosen)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for each hyperparameter, both --batch-size and --batch_size; unset flags stay out of the namespace."""
    groups = {name: parser.add_argument_group(name) for name in dict.fromkeys(each.group for each in TABLE.values())}
    for name, declared in TABLE.items():
        default = "auto" if declared.is_optional else str(declared.default).lower()
        options: dict[str, Any] = {"nargs": "?", "const": "true"} if declared.kind == "true or false" else {}
        groups[declared.group].add_argument(
            *dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}")),
            dest=name,
            default=argparse.SUPPRESS,
            metavar=_placeholder(declared),
            help=f"{declared.help} (default {default})".replace("%", "%%"),
            **options,
        )


def _placeholder(declared: Hyperparameter) -> str:
    if declared.choices:
        return "{" + ",".join(declared.choices) + "}"
    return {"true or false": "{true,false}", "whole number": "N", "number": "X", "text": "NAME"}[declared.kind]


def _unquote(raw: Any) -> str:
    """Framework estimators send json.dumps(value), plain ones str(value): removes the quotes of a quoted string."""
    if not isinstance(raw, str):
        return json.dumps(raw)
    text = raw.strip()
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text)).strip()
        except json.JSONDecodeError:
            return text
    return text
