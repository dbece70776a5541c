"""Loads the model while the port already listens; /ping answers 200 only when the model is warm.

A connection must be accepted within 250 ms (rule 28), and reading a large model takes longer (rule 29).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from contract.artifact import ArtifactError
from serve.batcher import Batcher
from serve.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A warm model, the batcher that feeds it, and the seconds that loading took."""

    predictor: Predictor
    batcher: Batcher
    seconds: float


class Loader:
    """Runs `load` and then `serve` in a thread. `on_refused` gets one line that says why the model cannot be served."""

    def __init__(
        self,
        load: Callable[[], Predictor],
        serve: Callable[[Predictor], Batcher],
        *,
        on_ready: Callable[[Loaded], None] = lambda _: None,
        on_refused: Callable[[str], None],
    ) -> None:
        self._load, self._serve = load, serve
        self._on_ready, self._on_refused = on_ready, on_refused
        self._loaded: Loaded | None = None
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def start(self) -> Loader:
        self._thread.start()
        return self

    def wait(self, timeout: float | None = None) -> Loader:
        self._thread.join(timeout)
        return self

    @property
    def loaded(self) -> Loaded | None:
        """The model if it can answer now, else None."""
        loaded = self._loaded
        return loaded if loaded and loaded.batcher.alive() else None

    def _run(self) -> None:
        started = time.perf_counter()
        try:
            predictor = self._load()
            predictor.warm()
            batcher = self._serve(predictor).start()
        except ArtifactError as error:
            self._on_refused(f"the model cannot be served: {error}")
            return
        except Exception as error:  # an exception in a thread would not end the container, so report it
            self._on_refused(f"the model cannot be loaded: {type(error).__name__}: {error}")
            return
        self._loaded = Loaded(predictor=predictor, batcher=batcher, seconds=time.perf_counter() - started)
        self._on_ready(self._loaded)
