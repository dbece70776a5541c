from __future__ import annotations

import math
import re

import pytest

from contract import metrics

VALUES = {name: 0.5 + place for place, name in enumerate(metrics.NAMES)}


def test_every_definition_finds_its_own_number_in_a_full_line() -> None:
    text = metrics.line(VALUES)
    for definition, name in zip(metrics.definitions(), metrics.NAMES, strict=True):
        assert [float(found) for found in re.findall(definition["Regex"], text)] == [VALUES[name]]


def test_definitions_keep_sagemaker_s_limits() -> None:
    found = metrics.definitions()
    assert len(found) <= 40
    assert all(len(row["Regex"]) <= 500 and len(row["Name"]) <= 255 for row in found)
    assert len({row["Name"] for row in found}) == len(found)
    assert "valid:top1" in {row["Name"] for row in found}


@pytest.mark.parametrize("value", [3, 0, 0.0, -1.5, 1e-9, 123456789.0, 1.5e30, math.inf, -math.inf])
def test_printed_numbers_are_read_back(value: float) -> None:
    (row,) = metrics.parse(metrics.line({"train_loss": value}))
    assert row["train_loss"] == pytest.approx(value, rel=1e-5)


def test_nan_is_read_back_as_nan() -> None:
    assert math.isnan(metrics.parse(metrics.line({"valid_loss": math.nan}))[0]["valid_loss"])


def test_metric_lines_are_found_in_order_among_other_lines_and_after_a_prefix() -> None:
    first, second = metrics.line({"epoch": 1}), metrics.line({"epoch": 2, "valid_top1": 0.9})
    log = f"noise epoch=9\n[rank0]: {first}\nkennel: saved\n{second}"
    assert metrics.parse(log) == [{"epoch": 1.0}, {"epoch": 2.0, "valid_top1": 0.9}]


def test_a_metric_that_is_not_in_the_line_is_not_in_the_result() -> None:
    assert metrics.parse(metrics.line({"test_top1": 0.7})) == [{"test_top1": 0.7}]


def test_a_metric_without_a_definition_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metrics \['speed'\] have no definition"):
        metrics.line({"speed": 1.0})
