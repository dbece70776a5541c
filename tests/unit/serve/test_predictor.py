"""The network is checked against model.json before it serves; a mismatch is refused with the reason."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contract.artifact import ArtifactError
from contract.engine import FALLBACK, EngineError, Network, named, open_network
from serve.predictor import Predictor, check_shapes
from tests.unit.serve.artifacts import CROP, manifest
from tests.unit.serve.onnx_bytes import network
from tests.unit.serve.services import predictor


def with_network(crop: int = CROP, labels: tuple[str, ...] = ("r", "g", "b"), **options: Any) -> Predictor:
    return Predictor(manifest=manifest(labels), network=open_network(network(crop, **options), FALLBACK, threads=1))


def test_a_network_that_fits_is_served_for_any_number_of_pictures() -> None:
    model = predictor()
    check_shapes(model)
    model.warm()
    pictures = np.stack([np.full((3, CROP, CROP), 0.5, dtype=np.float32)] * 3)
    assert np.allclose(model.logits(pictures), np.full((3, 3), 5.0), atol=1e-5)


@pytest.mark.parametrize("engine", ["onnxruntime-fp32", "openvino-fp32"])
def test_many_callers_on_a_thread_each_get_the_answers_of_one_on_all(engine: str) -> None:
    whole = open_network(network(CROP), named(engine), threads=2)
    streams = whole.streams(2)
    pictures = np.random.default_rng(1).normal(size=(24, 2, 3, CROP, CROP)).astype(np.float32)
    with ThreadPoolExecutor(4) as callers:  # more callers than streams: they take turns
        rows = list(callers.map(streams.logits, pictures))
    assert np.allclose(rows, [whole.logits(each) for each in pictures], atol=1e-5)
    assert streams.queues is engine.startswith("openvino")  # ONNX Runtime computes in its callers' threads


def test_streams_are_the_same_network_and_one_cpu_needs_none() -> None:
    model = replace(predictor(), threads=2)
    pictures = np.random.default_rng(1).normal(size=(2, 3, CROP, CROP)).astype(np.float32)
    streams = model.streams()
    assert streams is not None
    assert np.allclose(streams.logits(pictures), model.logits(pictures), atol=1e-5)
    assert predictor().streams() is None


def test_streams_that_do_not_open_or_give_no_numbers_are_refused_saying_why() -> None:
    broken = with_network(rows=[(float("nan"), 0, 0), (0, 1, 0), (0, 0, 1)]).network

    def refuse(_: int) -> Network:
        raise EngineError("model.onnx: no streams today")

    for streams, message in ((lambda _: broken, "not finite"), (refuse, "no streams today")):
        network = replace(predictor().network, streams=streams)
        with pytest.raises(ArtifactError, match=message):
            replace(predictor(), network=network, threads=2).streams()


def test_identity_work_in_front_changes_no_answer() -> None:
    pictures = np.random.default_rng(1).normal(size=(2, 3, CROP, CROP)).astype(np.float32)
    assert np.allclose(predictor().logits(pictures), predictor(work=2).logits(pictures), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"crop": CROP + 1}, "preprocessing's crop"),
        ({"labels": ("a", "b")}, "number of labels"),
        ({"names": ("input", "logits")}, "pictures float"),
        ({"names": ("pictures", "output")}, "logits float"),
        ({"batch": 1}, "exactly 1 pictures"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_saying_why(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        check_shapes(with_network(**options))


def test_bytes_that_are_no_network_are_refused_in_one_line() -> None:
    with pytest.raises(EngineError, match="onnxruntime-fp32 refuses it") as caught:
        open_network(b"not a network", FALLBACK, threads=1)
    assert "\n" not in str(caught.value)


def test_a_network_that_gives_no_numbers_is_refused_when_warmed() -> None:
    broken = with_network(rows=[(float("nan"), 0, 0), (0, 1, 0), (0, 0, 1)])
    check_shapes(broken)
    with pytest.raises(ArtifactError, match="not finite"):
        broken.warm()


def test_the_card_has_what_the_page_shows() -> None:
    card = predictor().card()
    assert card["labels"] == ["red", "green", "blue"]
    assert card["metrics"] == {"valid_top1": 0.75}
    assert card["provenance"]["created"] == "2026-01-01T00:00:00Z"
    assert (card["architecture"], card["format_version"]) == ("colours", 2)
    assert (card["engine"], card["precision"]) == ("onnxruntime", "fp32")
