"""`python -m tests.functional.serve.sleeping SECONDS`: the server as it ships with a network that sleeps so long for
each inference, one picture at a time: its capacity is known whatever else the machine does. `floor` instead of SECONDS:
the least that can be done under the same worker, a body read and two bytes answered."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import Any

from contract.preprocess import FloatArray
from serve.__main__ import Server, end_refused, gunicorn_options
from serve.app import App, Service
from serve.asgi import Receive, Send
from serve.batcher import Batcher
from serve.environment import Settings, from_environ
from serve.loader import Loader
from serve.metrics import Metrics
from serve.predictor import Predictor
from tests.unit.serve.services import predictor


def sleeping_app(settings: Settings, seconds: float) -> Any:
    found = predictor()

    def run(pictures: FloatArray) -> Any:
        time.sleep(seconds)
        return found.network.run(pictures)

    def batcher(model: Predictor) -> Batcher:
        return Batcher(model.logits, max_batch=1)

    slow = replace(found, network=replace(found.network, run=run))
    loader = Loader(lambda: slow, batcher, on_refused=end_refused)
    app = App(Service(settings=settings, loader=loader, metrics=Metrics()))
    loader.start()
    return app


async def floor_app(_: Any, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def main(what: str) -> None:
    settings = from_environ(os.environ, cpus=2)
    make = (lambda: floor_app) if what == "floor" else (lambda: sleeping_app(settings, float(what)))
    Server(gunicorn_options(settings), make).run()


if __name__ == "__main__":
    main(sys.argv[1])
