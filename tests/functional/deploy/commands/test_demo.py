"""The demo's own parts: which pictures it sends, how it serves them, and what it shows."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from deploy.commands.demo import allowing, held_out, on_aws, serving_files, top
from deploy.config.settings import choose, parse
from deploy.errors import DeployError

TOML = Path(__file__).parents[4] / "deploy.toml"


@pytest.fixture
def test_split(tmp_path: Path) -> Path:
    for label in "abcdefghij":
        (tmp_path / label).mkdir()
        for number in (2, 1):
            (tmp_path / label / f"{number}.jpg").write_bytes(f"{label}{number}".encode())
    return tmp_path


def test_the_pictures_are_of_different_classes_and_the_same_each_time(test_split: Path) -> None:
    chosen = held_out(test_split)
    assert [label for label, _ in chosen] == ["a", "c", "e", "g", "i"]
    assert all(path.name == "1.jpg" for _, path in chosen)


def test_only_these_files_are_served_and_only_inside_the_with(test_split: Path) -> None:
    with serving_files(held_out(test_split), "127.0.0.1", port=0) as served:
        read = [(label, urllib.request.urlopen(url, timeout=5).read()) for label, url in served.urls]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{served.address}/../../deploy.toml", timeout=5)
        url = served.urls[0][1]
    assert read == [(label, f"{label}1".encode()) for label in "acegi"]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=1)


def test_a_port_that_is_taken_is_replaced_by_a_free_one(test_split: Path) -> None:
    files = held_out(test_split)
    with serving_files(files, "127.0.0.1", port=0) as first:
        taken = int(first.address.rpartition(":")[2])
        with serving_files(files, "127.0.0.1", port=taken) as second:
            assert second.address != first.address
            assert urllib.request.urlopen(second.urls[0][1], timeout=5).read() == b"a1"


def test_only_the_demo_lets_the_lambda_fetch_from_this_machine() -> None:
    settings = choose(parse(TOML.read_text()), "local")
    assert (settings.function.allow_http, settings.function.allow_hosts) == (False, ())
    allowed = allowing(settings, "172.17.0.1:4570").function
    assert (allowed.allow_http, allowed.allow_hosts) == (True, ("172.17.0.1:4570",))


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 200, "body": "[[1.0]]", "predictions": [{"label": "a", "probability": 0.5}]},
        {"statusCode": 200, "body": json.dumps({"predictions": [{"label": "a", "probability": 0.5}]})},
    ],
)
def test_the_first_label_is_found_in_either_form_of_answer(answer: dict[str, Any]) -> None:
    assert top(answer) == ("a", 0.5)


def test_an_error_of_the_lambda_is_shown_in_full() -> None:
    with pytest.raises(DeployError, match=r"answered 403: .*private"):
        top({"statusCode": 403, "body": '{"error": "private address"}'})


def test_the_summary_for_aws_counts_the_requests() -> None:
    settings = choose(parse(TOML.read_text()), "local")
    text = on_aws(settings, Counter({"CreateTrainingJob": 2, "Invoke": 5, "GetRole": 3}))
    assert "the same 10 requests (2 × CreateTrainingJob, 5 × Invoke)" in text
    assert "2 × ml.m5.xlarge" in text
