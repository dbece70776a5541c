"""Runs in the worker process: starts loading the model and returns the application, which answers 503 until then."""

from __future__ import annotations

import logging
import os
import sys

from contract.machine import this_machine
from serve import golden
from serve.app import App, build_service
from serve.batcher import Batcher, Streams
from serve.environment import Settings
from serve.loader import Loaded, Loader
from serve.metrics import Metrics
from serve.predictor import Predictor, load

REFUSED = 3  # gunicorn itself ends when a worker ends with this code; after any other it starts a new worker
log = logging.getLogger("kennel.serve")


def make_app(settings: Settings) -> App:
    metrics = Metrics()

    def load_checked() -> Predictor:
        predictor = load(settings.model_dir, this_machine(settings.cpus), engine_name=settings.engine)
        golden.check(predictor, settings.golden_tolerance)
        return predictor

    def batcher(predictor: Predictor) -> Batcher:
        return Batcher(predictor.logits, max_batch=settings.max_batch, observe=metrics.batch)

    def on_ready(loaded: Loaded) -> None:
        _log_ready(settings, loaded)
        _add_streams(loaded)

    loader = Loader(load_checked, batcher, on_ready=on_ready, on_refused=end_worker)
    app = App(build_service(settings, loader, metrics))
    loader.start()
    return app


def end_worker(reason: str) -> None:
    """Called in the loader's thread: prints the reason in one line and ends the worker, and so the container."""
    sys.stderr.write(f"kennel serve: {' '.join(reason.split())}\n")
    sys.stderr.flush()
    os._exit(REFUSED)


def _log_ready(settings: Settings, loaded: Loaded) -> None:
    model = loaded.predictor
    summary = f"{model.manifest.architecture}, {len(model.labels)} labels"
    log.info("ready on port %d after %.2f s: %s, %d threads", settings.port, loaded.seconds, summary, settings.cpus)
    log.info("engine %s (%s)", model.network.engine, model.reason)


def _add_streams(loaded: Loaded) -> None:
    """Opens the streams only after the server is ready: until then it runs one inference at a time."""
    try:
        if streams := loaded.predictor.streams():
            loaded.batcher.add(Streams(infer=streams.logits, count=loaded.predictor.threads, ahead=int(streams.queues)))
    except Exception as error:  # each engine raises its own types
        log.warning("the server runs one inference at a time, because the engine cannot open streams: %s", error)
