"""Plots a table: one bar for each row's ratio, with the target as a line. Runs in an environment with matplotlib."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

OURS, MISSED, PLAIN = "#2f6f9f", "#d1742a", "#8a9aa8"


def main(source: str, picture: str, title: str, caption: str) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "kennel", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    rows = [row for row in json.loads(Path(source).read_text(encoding="utf-8")) if row["ratio"] is not None]
    figure, axes = pyplot.subplots(figsize=(9, 1.1 + 0.42 * max(1, len(rows))), layout="constrained")
    for place, row in enumerate(reversed(rows)):
        _draw_row(axes, place, row)
    names = ["\n".join(textwrap.wrap(f"{row['what']} / {row['peer_name']}", 58)) for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    ratios = [row["ratio"] for row in rows]
    if ratios and max(ratios) / max(1e-9, min(ratios)) > 12:
        axes.set_xscale("log")
    axes.set_xlabel("ratio (dots: each round, line: target)")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("\n".join(textwrap.wrap(caption, 130)), fontsize=6.5, color="#555555")
    figure.savefig(picture, metadata={"Date": None})


def _draw_row(axes: Any, place: int, row: dict[str, Any]) -> None:
    colour = PLAIN if row["met"] is None else OURS if row["met"] else MISSED
    axes.barh(place, row["ratio"], height=0.62, color=colour, alpha=0.85)
    axes.scatter(row["rounds"], [place] * len(row["rounds"]), s=9, color="black", alpha=0.55, zorder=3, linewidths=0)
    label = f"{row['ratio']:g}"
    if row["target"] is not None:
        axes.plot([row["target"]] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.6, zorder=4)
        label += f"  ({'≤' if row['direction'] == 'at most' else '≥'} {row['target']:g})"
    axes.annotate(label, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)


if __name__ == "__main__":
    main(*sys.argv[1:])
