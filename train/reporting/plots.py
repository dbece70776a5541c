"""The drawings of the report: learning curves and confusion matrix as PNG bytes, for a light and a dark page."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

WRITTEN_COUNTS = 20  # up to this many classes the cells show their counts
LABEL_CHARACTERS = 26


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours with a contrast of at least 4.5:1 to the paper. The two lines also differ in dash and marker."""

    paper: str
    ink: str
    grid: str
    train: str
    valid: str
    cells: tuple[str, ...]  # from a share of 0 to 1


LIGHT = Theme(
    paper="#ffffff",
    ink="#1f2328",
    grid="#d8dee4",
    train="#0a5bb5",
    valid="#b4420a",
    cells=("#f7fbff", "#5ba3cf", "#08306b"),
)
DARK = Theme(
    paper="#161a20",
    ink="#e6e9ed",
    grid="#363c45",
    train="#6cb2ff",
    valid="#ff9d5c",
    cells=("#1b2129", "#2670b8", "#b5dcff"),
)


def curves(history: Sequence[dict[str, float]], theme: Theme = LIGHT) -> bytes:
    """Loss and top-1 accuracy of training and validation by epoch, with a mark at the best epoch."""
    figure = Figure(figsize=(10, 3.8), dpi=110, facecolor=theme.paper, layout="constrained")
    panels: Any = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for panel, measure, title in zip(panels, ("loss", "top1"), ("Loss", "Top-1 accuracy"), strict=True):
        for split, style in (("train", "o--"), ("valid", "s-")):
            values = [row.get(f"{split}_{measure}", np.nan) for row in history]
            colour = theme.train if split == "train" else theme.valid
            name = {"train": "training", "valid": "validation"}[split]
            panel.plot(epochs, values, style, color=colour, label=name, markersize=4, linewidth=1.8)
        panel.set_title(title, color=theme.ink, fontsize=12)
        panel.set_xlabel("epoch", color=theme.ink)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _dress(panel, theme)
        panel.grid(color=theme.grid, linewidth=0.7)
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(0, 1.02)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    _mark_best(panels[1], history, theme)
    legend = panels[0].legend(facecolor=theme.paper, edgecolor=theme.grid, labelcolor=theme.ink)
    legend.get_frame().set_alpha(0.9)
    return _png(figure)


def confusion(counts: npt.NDArray[np.int64], labels: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """The share of each true class (rows) by prediction (columns); with counts if there are few classes."""
    size = len(labels)
    side = max(4.6, min(16.0, 1.6 + (0.42 if size <= WRITTEN_COUNTS else 0.11) * size))
    figure = Figure(figsize=(side + 0.9, side), dpi=110, facecolor=theme.paper, layout="constrained")
    panel: Any = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    shades = LinearSegmentedColormap.from_list("cells", theme.cells)
    image = panel.imshow(shares, cmap=shades, vmin=0.0, vmax=1.0, interpolation="nearest")
    letters = 9.0 if size <= WRITTEN_COUNTS else max(4.5, 8.5 - size / 35)
    names = [_short(label) for label in labels]
    panel.set_xticks(range(size), names, rotation=90, fontsize=letters)
    panel.set_yticks(range(size), names, fontsize=letters)
    panel.set_xlabel("predicted", color=theme.ink)
    panel.set_ylabel("truth", color=theme.ink)
    _dress(panel, theme)
    if size <= WRITTEN_COUNTS:
        _write_counts(panel, counts, shares, theme)
    bar = figure.colorbar(image, ax=panel, fraction=0.04, pad=0.02, format=PercentFormatter(1.0))
    bar.ax.tick_params(colors=theme.ink)
    bar.outline.set_edgecolor(theme.grid)
    return _png(figure)


def _write_counts(panel: Any, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], theme: Theme) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = theme.paper if shares[row, column] > 0.5 else theme.ink
        panel.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour)


def _mark_best(panel: Any, history: Sequence[dict[str, float]], theme: Theme) -> None:
    scored = [(row["valid_top1"], row["epoch"]) for row in history if np.isfinite(row.get("valid_top1", np.nan))]
    if not scored:
        return
    best = max(value for value, _ in scored)
    epoch = next(epoch for value, epoch in scored if value == best)
    below = best > 0.85
    panel.annotate(
        f"best {best:.1%}",
        (epoch, best),
        xytext=(0, -18 if below else 10),
        textcoords="offset points",
        ha="right" if epoch > max(row["epoch"] for row in history) * 0.8 else "left",
        color=theme.valid,
        fontsize=10,
    )


def _dress(panel: Any, theme: Theme) -> None:
    panel.set_facecolor(theme.paper)
    panel.tick_params(colors=theme.ink)
    for spine in panel.spines.values():
        spine.set_color(theme.grid)


def _short(label: str) -> str:
    text = label if len(label) <= LABEL_CHARACTERS else label[: LABEL_CHARACTERS - 1] + "…"
    return text.replace("$", r"\$")  # a plain $ starts a formula


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a label's script may be missing in the font
        FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()
