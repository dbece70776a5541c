"""The page in real headless Chromium against the real image: mouse, keyboard, paste, phone, dark, errors.

Writes screenshots to .kennel/shots for people to look at.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.container.serve.conftest import ROOT, Serve, address
from tests.unit.serve.artifacts import write_artifact
from tests.unit.serve.pictures import encoded

SHOTS = ROOT / ".kennel" / "shots"
RED = {"name": "red.jpg", "mimeType": "image/jpeg", "buffer": encoded("red", (800, 600))}
TEXT = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a picture"}
DROP = """([selector, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "picture.png", { type: "image/png" }));
  const target = document.querySelector(selector);
  for (const kind of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
PASTE = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "image.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
}"""


@pytest.fixture(scope="module")
def url(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    return address(serve(write_artifact(tmp_path_factory.mktemp("model")))) + "/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.fail("no Chromium on PATH: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield chrome
        chrome.close()


class Visit:
    """One visit of the page; records the browser's errors and its requests."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda text: self.complaints.append(text.text) if text.type == "error" else None)
        self.page.on("request", lambda request: self.requests.append(request.url))
        # Before the first key: the browser must already intercept the file chooser when it opens.
        self.page.on("filechooser", lambda chooser: None)
        self.page.goto(url)
        expect(self.page.locator("#state")).to_have_text("colours, 3 labels, ready")

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def first(self, label: str) -> None:
        expect(self.page.locator("#first")).to_have_text(label)
        expect(self.page.locator("#results")).not_to_have_class("card results busy")


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Any]:
    visits: list[Visit] = []

    def start(**options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        return visits[-1]

    yield start
    for each in visits:
        each.context.close()


def test_a_chosen_picture_is_shown_and_classified_with_bars_and_times(visit: Any, url: str) -> None:
    tab = visit(viewport={"width": 1280, "height": 900})
    tab.page.set_input_files("#file", files=[RED])
    tab.first("red")
    assert tab.page.evaluate("document.querySelector('#picture').naturalWidth") == 800
    rows = tab.page.locator("#top li")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("100.0 %")
    bar, track = (
        tab.page.locator("#top .fill").first.bounding_box(),
        tab.page.locator("#top .track").first.bounding_box(),
    )
    assert bar["width"] == pytest.approx(track["width"], abs=1)
    expect(tab.page.locator("#times")).to_contain_text("round trip")
    expect(tab.page.locator("#times")).to_contain_text("network")
    tab.shot("desktop")
    assert tab.complaints == []
    assert [address for address in tab.requests if not address.startswith((url, "blob:", "data:"))] == []


def test_the_models_card_describes_the_model(visit: Any) -> None:
    tab = visit()
    card = tab.page.locator("#model")
    for text in (
        "colours",
        "Valid top-1",
        "75.0 %",
        "2026-01-01, 00:00 UTC",
        "All 3 labels",
        "onnxruntime, fp32",
        "Artifact format",
    ):
        expect(card).to_contain_text(text)
    tab.page.locator("summary").click()
    expect(tab.page.locator("#labels li")).to_have_text(["red", "green", "blue"])


@pytest.mark.parametrize("where", ["#drop", "footer"])
def test_a_dropped_picture_is_classified_wherever_it_falls(visit: Any, where: str) -> None:
    tab = visit()
    tab.page.evaluate(DROP, [where, base64.b64encode(encoded((0, 255, 0), kind="PNG")).decode()])
    tab.first("green")
    assert tab.complaints == []


def test_a_pasted_picture_is_classified(visit: Any) -> None:
    tab = visit()
    tab.page.evaluate(PASTE, base64.b64encode(encoded("blue", kind="PNG")).decode())
    tab.first("blue")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_alone_chooses_a_picture_and_opens_the_labels(visit: Any, key: str) -> None:
    tab = visit()
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.id") == "file"
    outline = tab.page.evaluate("getComputedStyle(document.querySelector('#drop')).outlineStyle")
    assert outline == "solid"
    with tab.page.expect_file_chooser() as chooser:
        tab.page.keyboard.press(key)
    chooser.value.set_files(files=[RED])
    tab.first("red")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#labels")).to_be_visible()


def test_answers_and_errors_are_announced_to_those_who_listen(visit: Any) -> None:
    tab = visit()
    assert tab.page.locator("#prediction").get_attribute("aria-live") == "polite"
    assert tab.page.locator("#error").get_attribute("role") == "alert"
    assert tab.page.get_by_label("Choose a picture to classify").count() == 1
    tab.page.set_input_files("#file", files=[RED])
    tab.first("red")
    assert tab.page.locator("#picture").get_attribute("alt") == "The chosen picture: red.jpg"


def test_what_is_no_picture_is_said_clearly_and_the_next_picture_works(visit: Any) -> None:
    tab = visit(color_scheme="dark", viewport={"width": 1280, "height": 900})
    tab.page.set_input_files("#file", files=[TEXT])
    expect(tab.page.get_by_role("alert")).to_contain_text("The server cannot read this as a picture")
    expect(tab.page.locator("#no-preview")).to_be_visible()
    tab.shot("dark-error")
    tab.page.set_input_files("#file", files=[RED])
    tab.first("red")
    expect(tab.page.get_by_role("alert")).to_be_hidden()
    expect(tab.page.locator("#no-preview")).to_be_hidden()
    tab.shot("dark")


def test_a_server_that_is_gone_is_said(visit: Any) -> None:
    tab = visit()
    tab.context.set_offline(True)
    tab.page.set_input_files("#file", files=[RED])
    expect(tab.page.get_by_role("alert")).to_contain_text("The server cannot be reached")


def test_a_photo_larger_than_a_request_is_made_smaller_and_answered(visit: Any, tmp_path: Path) -> None:
    tab = visit()
    photo = tmp_path / "large.bmp"
    photo.write_bytes(encoded("blue", (2500, 2000), "BMP"))
    assert photo.stat().st_size > 6_291_456
    tab.page.set_input_files("#file", photo)
    tab.first("blue")
    expect(tab.page.locator("#times")).to_contain_text("sent as 2048×1638")


def test_a_phone_sees_all_of_it_without_scrolling_sideways(visit: Any) -> None:
    tab = visit(viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True)
    tab.page.set_input_files("#file", files=[RED])
    tab.first("red")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    tab.shot("phone")


def test_contrast_of_text_is_enough_in_light_and_dark(visit: Any) -> None:
    script = """() => {
      const light = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).map((part) => {
          const share = part / 255;
          return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (node) => {
        while (node) {
          const colour = getComputedStyle(node).backgroundColor;
          if (!/, 0\\)$|transparent/.test(colour)) return colour;
          node = node.parentElement;
        }
        return "rgb(255, 255, 255)";
      };
      return ["h1", "#state", ".hint", "small", "dt", "dd", "summary", "footer"].map((selector) => {
        const node = document.querySelector(selector);
        const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
        return [selector, (pair[0] + 0.05) / (pair[1] + 0.05)];
      });
    }"""
    for scheme in ("light", "dark"):
        for selector, ratio in visit(color_scheme=scheme).page.evaluate(script):
            assert ratio >= 4.5, (scheme, selector, ratio)
