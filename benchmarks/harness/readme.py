"""Copies the tables of benchmarks/results into the marked blocks of benchmarks/README.md.

.venv/bin/python -m benchmarks.harness.readme
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.results import FOLDER

README = FOLDER.parent / "README.md"
_MARKED = re.compile(r"(<!-- table: ([a-z0-9_]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = ("| what | ours | peer | | ratio | worst | target | |", "|---|--:|--:|---|--:|--:|--:|---|")


def filled(text: str, table_of: Callable[[str], str]) -> str:
    """The README's text with every marked table replaced by `table_of(name)`, the Markdown of the named table."""
    return _MARKED.sub(lambda match: match[1] + table_of(match[2]) + match[3], text)


def names(text: str) -> list[str]:
    """The names of the tables that a README marks."""
    return [match[2] for match in _MARKED.finditer(text)]


def table(rows: Sequence[Mapping[str, Any]], machine: str) -> str:
    """A Markdown table with one line for each row, followed by the notes and the machine."""
    notes = dict.fromkeys(row["note"] for row in rows if row.get("note") and row["peer_name"])
    numbered = {note: number for number, note in enumerate(notes, 1)}
    lines = [*_HEAD, *(_line(row, numbered) for row in rows)]
    below = [f"{number}. {note}" for note, number in numbered.items()]
    return "\n".join([*lines, "", *below, *([""] if below else []), f"Measured on {machine}.", ""])


def read(name: str) -> str:
    """The Markdown of results/<name>.json."""
    rows = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return table(rows, json.loads((FOLDER / f"{name}.runs.json").read_text(encoding="utf-8"))["machine"])


def _line(row: Mapping[str, Any], numbered: Mapping[str, int]) -> str:
    reference = f" ({numbered[row['note']]})" if row.get("note") in numbered else ""
    if row["ratio"] is None:  # a number without a peer, or a peer that did not run
        beside = f"not measured | {row['peer_name']}{reference}" if row["peer_name"] else f"| {row.get('note') or ''}"
        return f"| {row['what']} | {_number(row['ours'])} | {beside} | | | | |"
    cells = (row["ours"], row["peer"], row["peer_name"] + reference, row["ratio"], row["worst_ratio"])
    return f"| {row['what']} | " + " | ".join(map(_number, cells)) + f" | {_target(row)} | {_verdict(row['met'])} |"


def _target(row: Mapping[str, Any]) -> str:
    if row["target"] is None:
        return ""
    return f"{'≤' if row['direction'] == 'at most' else '≥'} {row['target']:g}"


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "**missed**", None: ""}[met]


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)


def main(readme: Path = README) -> None:
    readme.write_text(filled(readme.read_text(encoding="utf-8"), read), encoding="utf-8")


if __name__ == "__main__":
    main()
