"""A whole service in memory for tests: the colour network in a real ONNX Runtime session, no disk and no sockets."""

from __future__ import annotations

from typing import Any

from contract.engine import FALLBACK, open_network
from serve.app import Service, create_app
from serve.batcher import Batcher
from serve.environment import Settings
from serve.loader import Loader
from serve.metrics import Metrics
from serve.predictor import Predictor
from tests.unit.serve.artifacts import CROP, manifest
from tests.unit.serve.onnx_bytes import network


def predictor(**network_options: Any) -> Predictor:
    return Predictor(manifest=manifest(), network=open_network(network(CROP, **network_options), FALLBACK, threads=1))


def service(settings: Settings | None = None, *, loaded: bool = True, model: Any = None) -> Service:
    """A service whose model is ready (or, with loaded=False, never will be)."""
    chosen, metrics = settings or Settings(), Metrics()
    refused: list[str] = []

    def batcher(found: Predictor) -> Batcher:
        return Batcher(found.logits, max_batch=chosen.max_batch, observe=metrics.batch)

    loader = Loader(lambda: model or predictor(), batcher, on_refused=refused.append)
    if loaded:
        loader.start().wait(10)
        if refused:
            raise RuntimeError(refused[0])
    return Service(settings=chosen, loader=loader, metrics=metrics)


def client(settings: Settings | None = None, **options: Any) -> Any:
    """Flask's test client on such a service. An exception in a route is a 500, as it would be when deployed."""
    app = create_app(service(settings, **options))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()
