from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from contract.hyperparameters import TABLE, HyperparameterError, Hyperparameters
from train import config
from train.config import from_hyperparameters


def by_flags(*argv: str) -> Hyperparameters:
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    return from_hyperparameters(vars(parser.parse_args(argv)))


def test_no_hyperparameters_are_the_defaults() -> None:
    assert from_hyperparameters({}) == by_flags() == Hyperparameters()


@pytest.mark.parametrize("write", [str, json.dumps], ids=["plain", "json"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "resnet18"),
        ("epochs", 7),
        ("learning_rate", 0.003),
        ("freeze_backbone", False),
        ("augment", True),
        ("workers", 2),
        ("max_bad_share", 0.2),
    ],
)
def test_a_value_reads_the_same_raw_and_json_quoted(name: str, value: Any, write: Any) -> None:
    assert getattr(from_hyperparameters({name: write(value)}), name) == value


def test_a_doubly_quoted_string_loses_its_quotes() -> None:
    assert from_hyperparameters({"model": '"resnet18"', "epochs": '"3"'}) == Hyperparameters(model="resnet18", epochs=3)


def test_flags_and_hyperparameters_give_the_same_config() -> None:
    flags = by_flags("--batch-size", "64", "--learning_rate=0.1", "--freeze-backbone", "false", "--augment")
    assert flags == from_hyperparameters({"batch-size": "64", "learning_rate": "0.1", "freeze_backbone": "False"})


def test_sagemaker_s_own_entries_are_ignored() -> None:
    own = {"sagemaker_program": "x.py", "sagemaker_region": '"us-east-1"', "_tuning_objective_metric": "valid:top1"}
    assert from_hyperparameters(own) == Hyperparameters()


@pytest.mark.parametrize("text", ["auto", "none", "null", "None", ""])
def test_auto_leaves_the_choice_to_the_trainer(text: str) -> None:
    assert from_hyperparameters({"learning_rate": text, "workers": text}) == Hyperparameters()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": "3"}, "unknown hyperparameter 'epoch' (did you mean epochs?); valid are model, weights,"),
        ({"epochs": "many"}, "epochs='many': must be a whole number"),
        ({"epochs": "2.5"}, "epochs='2.5': must be a whole number"),
        ({"epochs": "nan"}, "epochs='nan': must be a whole number"),
        ({"epochs": "inf"}, "epochs='inf': must be a whole number"),
        ({"epochs": "0"}, "epochs=0: must be at least 1 and at most 10000"),
        ({"learning_rate": "nan"}, "learning_rate=nan: must be at least"),
        ({"learning_rate": "fast"}, "learning_rate='fast': must be a number or auto"),
        ({"augment": "perhaps"}, "augment='perhaps': must be true or false"),
        ({"optimizer": "adam"}, "optimizer='adam': must be one of sgd, adamw"),
        ({"batch_size": "8", "batch-size": "8"}, "batch_size is given twice"),
        ({"crop": "300"}, "crop=300 is larger than resize=256"),
        ({"epochs": "2", "warmup_epochs": "3"}, "warmup_epochs=3 is longer than epochs=2"),
        ({"model": ""}, "model='': must not be empty"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_valid(values: dict[str, str], message: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        from_hyperparameters(values)
    assert message in str(caught.value)


def test_every_hyperparameter_has_help_and_a_flag() -> None:
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    shown = parser.format_help()
    for name, declared in TABLE.items():
        assert declared.help
        assert f"--{name.replace('_', '-')}" in shown


def test_a_config_survives_json() -> None:
    chosen = Hyperparameters(model="vit_b_16", learning_rate=0.5, freeze_backbone=False)
    assert Hyperparameters(**json.loads(json.dumps(chosen.to_dict()))) == chosen
