from __future__ import annotations

from dataclasses import fields

import pytest

from contract.hyperparameters import TABLE, HyperparameterError, Hyperparameters, ValueKind, normalised, unknown


def test_every_field_is_declared_with_a_help_text_and_a_default_within_its_limits() -> None:
    assert list(TABLE) == [each.name for each in fields(Hyperparameters)]
    for declared in TABLE.values():
        assert declared.help
        declared.check(declared.default)


@pytest.mark.parametrize(
    ("name", "kind", "is_optional"),
    [
        ("epochs", "whole number", False),
        ("workers", "whole number", True),
        ("momentum", "number", False),
        ("learning_rate", "number", True),
        ("augment", "true or false", False),
        ("model", "text", False),
    ],
)
def test_the_kind_of_a_value_is_the_field_s_type(name: str, kind: ValueKind, is_optional: bool) -> None:
    assert (TABLE[name].kind, TABLE[name].is_optional) == (kind, is_optional)


@pytest.mark.parametrize("key", ["batch_size", "batch-size", " batch-size "])
def test_dashes_and_blanks_do_not_change_a_name(key: str) -> None:
    assert normalised(key) == "batch_size"


def test_an_unknown_flag_names_the_nearest_and_all() -> None:
    assert unknown("--batch-sise").startswith(
        "unknown hyperparameter '--batch-sise' (did you mean batch_size?); valid are"
    )


@pytest.mark.parametrize("value", ["3", 3, 3.0, " 3 "])
def test_a_value_of_text_json_or_toml_reads_the_same(value: str | float) -> None:
    assert TABLE["epochs"].parse(value) == 3


def test_values_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(HyperparameterError, match="crop=300 is larger than resize=256"):
        Hyperparameters(crop=300)
