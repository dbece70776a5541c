"""The server is not ready before the model is warm; a model that cannot be served is reported once."""

import threading
from typing import Any

from contract.artifact import ArtifactError
from serve.batcher import Batcher
from serve.loader import Loaded, Loader
from serve.predictor import Predictor
from tests.unit.serve.services import predictor


def batcher(model: Predictor) -> Batcher:
    return Batcher(model.logits, max_batch=2)


def failing(error: Exception) -> Any:
    def load() -> Predictor:
        raise error

    return load


def test_the_model_is_absent_until_it_is_warm_and_then_reported_ready() -> None:
    go, ready = threading.Event(), list[Loaded]()

    def load() -> Predictor:
        go.wait(5)
        return predictor()

    loader = Loader(load, batcher, on_ready=ready.append, on_refused=lambda _: None).start()
    assert loader.loaded is None
    go.set()
    loader.wait(5)
    assert loader.loaded is not None
    assert ready == [loader.loaded]


def test_a_refused_artifact_is_reported_with_the_reason() -> None:
    lines: list[str] = []
    loader = Loader(failing(ArtifactError("format 9")), batcher, on_refused=lines.append).start().wait(5)
    assert loader.loaded is None
    assert lines == ["the model cannot be served: format 9"]


def test_any_other_failure_ends_the_same_way_with_its_type() -> None:
    lines: list[str] = []
    Loader(failing(OSError("disk")), batcher, on_refused=lines.append).start().wait(5)
    assert lines == ["the model cannot be loaded: OSError: disk"]


def test_a_dead_batcher_is_not_ready_any_more() -> None:
    loader = Loader(predictor, batcher, on_refused=lambda _: None).start().wait(5)
    assert loader.loaded is not None
    loader.loaded.batcher.close()
    assert loader.loaded is None
