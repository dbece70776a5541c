"""deploy.toml: which settings are accepted, and the errors for the others."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from contract.hyperparameters import Hyperparameters
from deploy.config.general import Stage
from deploy.config.section import Section
from deploy.config.settings import File, Settings, choose, parse
from deploy.errors import SettingsError
from tests.unit.deploy.conftest import TOML

STAGE = '[stages.local]\naccount = "123456789012"\nendpoint_url = "http://127.0.0.1:4566"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[projct]\nname = "a"', r"projct: unknown \(did you mean project\?\); choose one of project, images"),
        ("[endpoint]\ninstance_cuont = 1", r"endpoint.instance_cuont: unknown \(did you mean instance_count\?\)"),
        (
            "[lambda]\nmemory = 1",
            r"lambda.memory: unknown \(did you mean memory_mb\?\); choose one of memory_mb, timeout_s",
        ),
        ("[lambda]\nmemory_mb = 64", r"lambda.memory_mb: .*greater than or equal to 128, not 64"),
        ('[project]\nname = "Dogs!"', r"project.name: .*not 'Dogs!'"),
        ('[training]\ninstance_type = "m5.xlarge"', r"training.instance_type: .*not 'm5.xlarge'"),
        ("[training.hyperparameters]\nepoch = 3", r"training.hyperparameters.epoch: unknown \(did you mean epochs\?\)"),
        (
            '[training.hyperparameters]\nepochs = "two"',
            r"training.hyperparameters.epochs='two': must be a whole number",
        ),
        (
            "[training.hyperparameters]\nepochs = -3",
            r"training.hyperparameters.epochs=-3: must be at least 1 and at most",
        ),
        ("[training.hyperparameters]\nbatch-size = true", r"hyperparameters.batch_size='true': must be a whole number"),
        (
            '[training.hyperparameters]\noptimizer = "adam"',
            r"training.hyperparameters.optimizer='adam': must be one of sgd, adamw",
        ),
        ("[training]\nspot = true\nmax_run_minutes = 600", r"training.max_wait_minutes: must be at least"),
        ("[stages.x]\nregio = 1", r"stages.x.regio: unknown \(did you mean region\?\); choose one of account"),
        ('[stages.x]\ncredentials = "dummy"', r"stages.x.credentials: dummy needs an endpoint_url"),
        ('[stages.x]\naccount = "12"', r"stages.x.account: .*not '12'"),
        ("[project", r"not valid TOML"),
    ],
)
def test_an_error_names_its_key_and_the_valid_values(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        parse(f"{text}\n{STAGE}")
    assert str(caught.value).startswith("deploy.toml: ")


def test_every_error_of_a_file_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(f"[endpoint]\nx = 1\n[lambda]\ny = 2\n{STAGE}")
    assert len(str(caught.value).splitlines()) == 2


def test_a_file_without_stages_is_refused() -> None:
    with pytest.raises(SettingsError, match="stages: missing"):
        parse("")


def test_an_unknown_stage_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"stages.prd: unknown \(did you mean prod\?\); choose one of local, prod"):
        choose(parse(TOML.read_text()), "prd")


def test_a_stage_without_an_account_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(SettingsError, match=r"stages.prod.account: empty"):
        choose(parse(TOML.read_text()), "prod")


def test_settings_cannot_be_changed(settings: Settings) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.endpoint.instance_count = 3


def test_names_stay_within_the_limits_of_aws() -> None:
    project, stage = "a" * 20, "b" * 14
    text = f'[project]\nname = "{project}"\n[stages.{stage}]\naccount = "123456789012"\nregion = "us-east-1"\n'
    chosen = choose(parse(text), stage)
    assert len(chosen.bucket) <= 63
    assert len(chosen.function_name) <= 64
    assert len(f"{chosen.prefix}-baseline-0123456789-49") <= 63


def test_a_bucket_name_that_would_be_too_long_is_refused() -> None:
    project, stage = "a" * 20, "b" * 20
    text = f'[project]\nname = "{project}"\n[stages.{stage}]\naccount = "123456789012"\n'
    with pytest.raises(SettingsError, match=r"project.name and stages.b+: together too long"):
        choose(parse(text), stage)


# Tables whose keys are the user's own; each is shown in a comment or by an example.
FREE = {"hyperparameters", "ranges", "variants", "schedules", "endpoints"}


def sections(model: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every table of deploy.toml with its model, the stages' aside."""
    for name, spec in model.model_fields.items():
        if isinstance(spec.annotation, type) and issubclass(spec.annotation, Section):
            path = f"{place}{spec.alias or name}"
            yield path, spec.annotation
            yield from sections(spec.annotation, f"{path}.")


KEYS = [
    (section, key, spec.get_default(call_default_factory=True))
    for section, model in [*sections(File), ("stages.local", Stage)]
    for key, spec in model.model_fields.items()
    if key not in FREE and not (isinstance(spec.annotation, type) and issubclass(spec.annotation, Section))
]


def shown(section: str) -> dict[str, tuple[Any, str]]:
    """The keys of a table of deploy.toml, each with its value and its comment."""
    text = TOML.read_text(encoding="utf-8")
    [body] = re.findall(rf"^\[{re.escape(section)}\][^\n]*\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(\w+) = (.+?)\s+# (\w.+)$", body, re.MULTILINE)
    assert len({key for key, *_ in lines}) == len(lines)
    return {key: (tomllib.loads(f"x = {value}")["x"], comment) for key, value, comment in lines}


def default_of(value: Any, comment: str) -> Any:
    """What deploy.toml tells a key's default to be: its comment's `default: …`, else the value itself."""
    named = re.search(r"\(default: ([^;)]+)", comment)
    if named is None:
        return value
    words = {"empty": "", "none": None, "false": False, "true": True}
    return words[named[1]] if named[1] in words else int(named[1]) if named[1].isdigit() else named[1]


@pytest.mark.parametrize(("section", "key", "default"), KEYS)
def test_every_key_stands_in_deploy_toml_with_its_default_and_what_it_means(
    section: str, key: str, default: object
) -> None:
    assert default_of(*shown(section)[key]) == (list(default) if isinstance(default, tuple) else default)


def test_the_hyperparameters_of_deploy_toml_name_their_defaults() -> None:
    lines = shown("training.hyperparameters")
    assert lines
    defaults = Hyperparameters()
    assert {key: default_of(*line) for key, line in lines.items()} == {key: getattr(defaults, key) for key in lines}


@pytest.mark.parametrize("table", sorted(FREE))
def test_deploy_toml_shows_every_table_of_user_chosen_keys(table: str) -> None:
    assert re.search(rf"\[[a-z.]*{table}[\].]|{table}\.NAME", TOML.read_text(encoding="utf-8"))
