"""The report of a training: metrics.json, learning curves, confusion matrix, per-class accuracy, report.html."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from train.reporting import page, plots
from train.reporting.results import Results


def write(results: Results, folder: Path) -> None:
    """Writes metrics.json, per_class.csv, skipped.csv, curves.png, confusion.png and report.html into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(_finite(summary(results)), indent=2) + "\n", encoding="utf-8")
    rows = per_class(results)
    _table(folder / "per_class.csv", ("label", "pictures", "recall", "precision"), rows)
    _table(folder / "skipped.csv", ("name", "reason"), [tuple(asdict(row).values()) for row in results.skipped])
    (folder / "curves.png").write_bytes(plots.curves(results.history))
    (folder / "confusion.png").write_bytes(plots.confusion(results.confusion, results.labels))
    (folder / "report.html").write_text(page.render(results, rows), encoding="utf-8")


def summary(results: Results) -> dict[str, Any]:
    """The content of metrics.json."""
    return {
        "metrics": results.metrics,
        "history": list(results.history),
        "split": results.split,
        "labels": list(results.labels),
        "confusion": results.confusion.tolist(),
        "config": results.config,
        "provenance": results.provenance,
        "skipped": len(results.skipped),
    }


def per_class(results: Results) -> list[tuple[str, int, float, float]]:
    """(label, pictures, recall, precision) of each class. A share of zero pictures is nan."""
    hits = np.diag(results.confusion).astype(float)
    truths, guesses = results.confusion.sum(axis=1), results.confusion.sum(axis=0)
    recall = np.divide(hits, truths, out=np.full(hits.shape, np.nan), where=truths > 0)
    precision = np.divide(hits, guesses, out=np.full(hits.shape, np.nan), where=guesses > 0)
    rows = zip(results.labels, truths, recall, precision, strict=True)
    return [(label, int(count), float(share), float(right)) for label, count, share, right in rows]


def _table(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def _finite(value: Any) -> Any:
    """Replaces nan and infinity by None, because JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
