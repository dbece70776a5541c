"""report.html: one file without scripts or external assets, light or dark as the reader's system is set."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from train.reporting import plots
from train.reporting.results import Example, Results

OPEN_ROWS = 20  # a longer table folds the remaining rows
STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--soft:#57606a;--line:#d8dee4;--card:#f6f8fa;--good:#116329;
--bad:#a40e26;--bar:#0a5bb5}
@media(prefers-color-scheme:dark){:root{--paper:#161a20;--ink:#e6e9ed;--soft:#a3abb5;--line:#363c45;--card:#1e242c;
--good:#5fd38d;--bad:#ff8f8f;--bar:#6cb2ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:70rem;margin:auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}p{margin:.4rem 0;color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.25rem 0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem}
dt{color:var(--soft);font-size:.85rem}.cards dd{margin:0;font-size:1.6rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
img{display:block;max-width:100%;height:auto}.natural img{max-width:none}.curves img{min-width:38rem}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.75rem;padding:0;list-style:none}
.examples li{border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--card)}
.examples img{width:100%;height:9.5rem;object-fit:cover}
.examples div{padding:.5rem .65rem;font-size:.85rem;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:break-word}
th{color:var(--soft);font-weight:600;white-space:nowrap}
.share{min-width:9rem}
@media(max-width:36rem){.share{display:none}}
.share i{display:block;height:.6rem;border-radius:3px;background:var(--bar)}
details{margin:.5rem 0}summary{cursor:pointer;padding:.35rem 0}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:0 2rem}
"""


def render(results: Results, rows: Sequence[tuple[str, int, float, float]]) -> str:
    """The page. `rows` are (label, pictures, recall, precision) of each class."""
    title = f"{results.config.get('model', 'model')} on {len(results.labels)} classes"
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(_subtitle(results))}</p>",
        _cards(results),
        _section(
            "Learning curves",
            _drawing(results, "curves", "Loss and top-1 accuracy of training and validation by epoch"),
        ),
        _section(f"Pictures of the {results.split} split", _examples(results.examples)) if results.examples else "",
        _section("Most frequent mistakes", _mistakes(results)),
        _section("Classes, the weakest first", _classes(rows)),
        _section("Confusion matrix", _drawing(results, "confusion", "Share of each true class by predicted class")),
        _section("Skipped files", _skipped(results)),
        '<div class="two">'
        + _section("Hyperparameters", _pairs(results.config))
        + _section("Provenance", _pairs(results.provenance))
        + "</div>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _subtitle(results: Results) -> str:
    about = results.provenance
    return " · ".join(text for text in (about.get("job_name", ""), about.get("created", "")) if text)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _cards(results: Results) -> str:
    numbers = {
        f"{results.split} top-1": percent(results.metrics.get(f"{results.split}_top1", math.nan)),
        f"{results.split} top-5": percent(results.metrics.get(f"{results.split}_top5", math.nan)),
        "best validation top-1": percent(max((row.get("valid_top1", math.nan) for row in results.history), default=0)),
        f"{results.split} pictures": f"{int(results.confusion.sum()):,}",
        "random guess": percent(1 / len(results.labels)),
        "epochs": str(len(results.history)),
        "skipped files": f"{len(results.skipped):,}",
    }
    shown = {name: text for name, text in numbers.items() if text != "–"}
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in shown.items())
    return f'<dl class="cards">{cells}</dl>'


def _drawing(results: Results, name: str, alternative: str) -> str:
    """The drawing for a light page and for a dark one."""

    def draw(theme: plots.Theme) -> str:
        if name == "curves":
            return _data_url(plots.curves(results.history, theme), "png")
        return _data_url(plots.confusion(results.confusion, results.labels, theme), "png")

    return (
        f'<div class="wide {"natural" if name == "confusion" else name}" tabindex="0"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{draw(plots.DARK)}">'
        f'<img src="{draw(plots.LIGHT)}" alt="{escape(alternative)}"></picture></div>'
    )


def _examples(examples: Sequence[Example]) -> str:
    return f'<ul class="examples">{"".join(_example(example) for example in examples)}</ul>'


def _example(example: Example) -> str:
    right = example.truth == example.predicted
    kind = "png" if example.picture.startswith(b"\x89PNG") else "jpeg"
    prediction = (
        f'<span class="{"good" if right else "bad"}">{"✓" if right else "✗"} {escape(example.predicted)}</span>'
    )
    truth = "" if right else f"<br>truth: {escape(example.truth)}"
    return (
        f'<li><img src="{_data_url(example.picture, kind)}" alt="a picture of {escape(example.truth)}">'
        f"<div><b>{prediction}</b> {percent(example.probability)}{truth}</div></li>"
    )


def _mistakes(results: Results, most: int = 10) -> str:
    counts = results.confusion
    pairs = [
        (int(counts[truth, guess]), truth, guess)
        for truth in range(len(results.labels))
        for guess in range(len(results.labels))
        if truth != guess and counts[truth, guess]
    ]
    if not pairs:
        return "<p>No mistakes.</p>"
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    rows = [
        (results.labels[truth], results.labels[guess], f"{count} of {int(counts[truth].sum())}")
        for count, truth, guess in pairs[:most]
    ]
    return _table(("truth", "predicted as", "pictures"), rows)


def _classes(rows: Sequence[tuple[str, int, float, float]]) -> str:
    weakest = sorted(rows, key=lambda row: (math.isnan(row[2]), row[2], row[0]))
    cells = [
        (label, str(count), percent(recall), percent(precision), recall) for label, count, recall, precision in weakest
    ]
    header = ("class", "pictures", "recall", "precision")
    return _folded(header, cells, "classes")


def _skipped(results: Results) -> str:
    if not results.skipped:
        return "<p>None: all pictures are readable.</p>"
    return _folded(("file", "reason"), [(row.name, row.reason) for row in results.skipped], "files")


def _folded(header: Sequence[str], rows: Sequence[Sequence[str | float]], noun: str) -> str:
    shown = _table(header, rows[:OPEN_ROWS])
    rest = rows[OPEN_ROWS:]
    more = f"<details><summary>{len(rest)} more {noun}</summary>{_table(header, rest)}</details>" if rest else ""
    return shown + more


def _table(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    if any(not isinstance(cell, str) for row in rows for cell in row):
        head += '<td class="share"></td>'
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: str | float) -> str:
    """A cell with text, or with a bar for a share."""
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="share"><i style="width:{0 if math.isnan(value) else 100 * value:.0f}%"></i></td>'


def _pairs(values: dict[str, Any]) -> str:
    return _table(
        ("name", "value"), [(name, "auto" if value is None else str(value)) for name, value in values.items()]
    )


def _data_url(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.1%}"
