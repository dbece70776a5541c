"""An interrupted benchmark resumes where it ended, but never with results of other code."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.harness import fingerprint, kept


def test_a_stored_result_is_not_measured_again(tmp_path: Path) -> None:
    runs: list[int] = []

    def measure() -> Mapping[str, float]:
        runs.append(1)
        return {"top1": 0.775}

    file = tmp_path / "runs" / "ours-0.json"
    assert [kept(file, measure), kept(file, measure)] == [{"top1": 0.775}] * 2
    assert len(runs) == 1
    assert [each.name for each in file.parent.iterdir()] == ["ours-0.json"]


def test_a_run_that_fails_stores_nothing(tmp_path: Path) -> None:
    def broken() -> Mapping[str, float]:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        kept(tmp_path / "ours-0.json", broken)
    assert kept(tmp_path / "ours-0.json", lambda: {"top1": 1.0}) == {"top1": 1.0}


def test_the_fingerprint_changes_with_any_change_of_code_and_with_nothing_else(tmp_path: Path) -> None:
    module = tmp_path / "train" / "loop.py"
    module.parent.mkdir()
    module.write_text("rate = 1\n")
    before = fingerprint([tmp_path])
    (tmp_path / "notes.txt").write_text("not code")
    assert fingerprint([tmp_path]) == before
    module.write_text("rate = 2\n")
    assert fingerprint([tmp_path]) != before
