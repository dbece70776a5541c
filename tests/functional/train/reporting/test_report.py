from __future__ import annotations

import csv
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.pictures.index import Skipped
from train.reporting import report
from train.reporting.results import Example, Results

FILES = {"metrics.json", "curves.png", "confusion.png", "per_class.csv", "skipped.csv", "report.html"}


def results(classes: int = 3, **changes: Any) -> Results:
    counts = np.eye(classes, dtype=np.int64) * 4
    counts[0, 1] = 1
    values: dict[str, Any] = {
        "labels": tuple(f"{number:03d}.label" for number in range(classes)),
        "history": ({"epoch": 1, "train_loss": 1.0, "valid_loss": 1.2, "train_top1": 0.5, "valid_top1": 0.4},),
        "confusion": counts,
        "metrics": {"test_top1": 0.92},
        "config": {"model": "resnet18", "learning_rate": None},
        "provenance": {"job_name": "job-1"},
    }
    return Results(**{**values, **changes})


class Page(HTMLParser):
    """A parsed page: the addresses that it loads, images without alternative text, open tags, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources, self.mute, self.open, self.text = list[str](), 0, list[str](), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [values[name] or "" for name in ("src", "srcset", "href") if name in values]
        self.mute += tag == "img" and not values.get("alt")
        if tag not in ("meta", "img", "source", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def write(found: Results, folder: Path) -> Page:
    report.write(found, folder)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("classes", [2, 14, 133])
def test_every_file_is_written_for_few_and_many_classes(tmp_path: Path, classes: int) -> None:
    write(results(classes), tmp_path / "data")
    assert {path.name for path in (tmp_path / "data").iterdir()} == FILES
    for name in ("curves.png", "confusion.png"):
        with Image.open(tmp_path / "data" / name) as image:
            assert image.format == "PNG"
            assert 400 <= image.width <= 2400


def test_the_page_needs_nothing_from_outside_and_is_well_formed(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 12)).save(thumbnail, "JPEG")
    example = Example(picture=thumbnail.getvalue(), truth="000.label", predicted="001.label", probability=0.61)
    page = write(results(examples=(example,)), tmp_path)
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert (page.mute, page.open) == (0, [])
    for text in ("resnet18 on 3 classes", "92.0%", "✗ 001.label", "truth: 000.label", "61.0%", "job-1", "auto"):
        assert text in page.text


def test_labels_and_names_are_text_never_markup_nor_formulas(tmp_path: Path) -> None:
    odd = ("<script>alert(1)</script>", "$x_{", '犬 & "cat"')
    page = write(results(labels=odd, skipped=(Skipped(name="<img src=x>.jpg", reason="<b>"),)), tmp_path)
    assert "script" not in page.open
    assert not [source for source in page.sources if not source.startswith("data:")]
    for text in (*odd, "<img src=x>.jpg"):
        assert text in page.text


def test_a_class_without_pictures_or_guesses_has_no_share(tmp_path: Path) -> None:
    counts = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]], dtype=np.int64)
    rows = report.per_class(results(confusion=counts))
    assert rows[:2] == [("000.label", 4, 0.75, 1.0), ("001.label", 4, 1.0, 0.8)]
    assert rows[2][:2] == ("002.label", 0)
    assert math.isnan(rows[2][2])
    assert math.isnan(rows[2][3])
    write(results(confusion=counts), tmp_path)


def test_tables_hold_a_row_per_class_and_per_skipped_file(tmp_path: Path) -> None:
    write(results(skipped=(Skipped(name="train/a,b.jpg", reason="truncated: broken"),)), tmp_path)
    with (tmp_path / "per_class.csv").open(newline="", encoding="utf-8") as stream:
        classes = list(csv.DictReader(stream))
    assert classes[0] == {"label": "000.label", "pictures": "5", "recall": "0.8000", "precision": "1.0000"}
    assert len(classes) == 3
    with (tmp_path / "skipped.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.DictReader(stream)) == [{"name": "train/a,b.jpg", "reason": "truncated: broken"}]


def test_metrics_json_is_strict_json_even_with_nan(tmp_path: Path) -> None:
    history = ({"epoch": 1, "train_loss": math.nan, "valid_loss": math.inf, "valid_top1": math.nan},)
    write(results(history=history), tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["history"] == [{"epoch": 1, "train_loss": None, "valid_loss": None, "valid_top1": None}]
    assert found["metrics"] == {"test_top1": 0.92}


def test_a_run_without_mistakes_epochs_or_skipped_files_is_reported_too(tmp_path: Path) -> None:
    page = write(results(confusion=np.eye(3, dtype=np.int64), history=()), tmp_path)
    assert "No mistakes." in page.text
    assert "all pictures are readable" in page.text
