"""Writes a benchmark's results under benchmarks/results (rows, every round, plot) and prints the table."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.environments import ROOT, environment
from benchmarks.harness.rows import Row

FOLDER = ROOT / "benchmarks" / "results"
DRAWING = Path(__file__).with_name("drawing.py")


def write(
    table: str,
    rows: Sequence[Row],
    runs: Mapping[str, Sequence[Mapping[str, float]]],
    machine: str,
    *,
    folder: Path = FOLDER,
    title: str = "",
) -> None:
    """Writes <table>.json (the rows), <table>.runs.json (machine and every round) and <table>.svg; prints the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\n{machine}")
    for row in rows:
        print(f"  {row}")
    _dump(folder / f"{table}.json", [row.to_dict() for row in rows])
    _dump(
        folder / f"{table}.runs.json", {"machine": machine, "runs": {name: list(each) for name, each in runs.items()}}
    )
    draw(folder / f"{table}.json", folder / f"{table}.svg", title=title or table, caption=machine)


def draw(rows: Path, picture: Path, *, title: str, caption: str) -> None:
    """Plots the rows with matplotlib in its own environment, so that the host does not need matplotlib."""
    python = environment("plot", ["matplotlib"])
    subprocess.run([str(python), str(DRAWING), str(rows), str(picture), title, caption], check=True)


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
