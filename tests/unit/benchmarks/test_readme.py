"""How a table becomes Markdown and gets into the README."""

from __future__ import annotations

from benchmarks.harness import alone, at_most, not_measured, readme


def test_a_table_says_ratio_target_and_verdict_and_its_notes_once() -> None:
    rows = [
        at_most("CPU, µs", [1.0], [4.0], "one", target=0.5, note="tuned"),
        at_most("CPU, µs", [3.0], [4.0], "two", target=0.5, note="tuned"),
        not_measured("CPU, µs", "three", "does not start"),
    ]
    rows.append(alone("layers", [2.0], "of 5"))
    text = readme.table([row.to_dict() for row in rows], "a machine")
    assert "| CPU, µs | 1 | 4 | one (1) | 0.25 | 0.25 | ≤ 0.5 | met |" in text
    assert "| two (1) | 0.75 | 0.75 | ≤ 0.5 | **missed** |" in text
    assert "| CPU, µs |  | not measured | three (2) | | | | |" in text
    assert text.count("1. tuned\n2. does not start") == 1
    assert "| layers | 2 | | of 5 | | | | |" in text
    assert text.rstrip().endswith("Measured on a machine.")


def test_only_the_text_between_a_tables_marks_is_replaced() -> None:
    before = "Text.\n<!-- table: push -->\nold\n<!-- end -->\nMore.\n"
    after = readme.filled(before, lambda name: f"new {name}\n")
    assert after == "Text.\n<!-- table: push -->\nnew push\n<!-- end -->\nMore.\n"
    assert readme.names(before) == ["push"]
    assert readme.filled(after, lambda name: f"new {name}\n") == after
