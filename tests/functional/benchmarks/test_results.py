"""The stored results: complete rows whose verdicts follow from their numbers, and a README that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import readme
from benchmarks.harness.results import FOLDER

KEYS = {"what", "ours", "peer", "peer_name", "ratio", "target", "met"}
TABLES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(".runs.json"))
TEXT = readme.README.read_text(encoding="utf-8")


def rows(table: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((FOLDER / f"{table}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("table", TABLES)
def test_each_row_has_every_key_and_its_verdict_follows_from_its_ratio(table: str) -> None:
    assert rows(table)
    for row in rows(table):
        assert set(row) >= KEYS, row
        if row["target"] is None or row["ratio"] is None:
            assert row["met"] is None, row
        else:
            below = row["direction"] == "at most"
            assert row["met"] is (row["ratio"] <= row["target"] if below else row["ratio"] >= row["target"]), row


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_its_rounds_its_plot_and_a_command_that_exists(table: str) -> None:
    assert (FOLDER / f"{table}.runs.json").is_file()
    assert (FOLDER / f"{table}.svg").is_file()
    command = f"python -m benchmarks.{table}"
    assert command in TEXT
    root = Path(FOLDER).parent
    assert (root / f"{table}.py").is_file() or (root / table / "__main__.py").is_file()


def test_the_readme_shows_every_table_exactly_as_measured() -> None:
    assert sorted(readme.names(TEXT)) == TABLES
    assert readme.filled(TEXT, readme.read) == TEXT, "run: python -m benchmarks.harness.readme"
