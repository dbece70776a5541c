"""`python -m tests.functional.serve.sleeping SECONDS`: the server as it ships with a network that sleeps so long for
each inference, one picture at a time: its capacity is known whatever else the machine does. `floor` instead of SECONDS:
the least that does the same work under the
same worker: the body is read, a thread decodes it and runs the network, two bytes are answered."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from contract.preprocess import FloatArray
from serve import codec
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


def floor_app(settings: Settings) -> Any:
    found, pool = predictor(), ThreadPoolExecutor(1)

    def classify(body: bytes) -> None:
        found.logits(codec.decode(body, found.preprocessing, max_pixels=settings.max_pixels)[None])

    async def app(_: Any, receive: Receive, send: Send) -> None:
        parts, more = list[bytes](), True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        if body := b"".join(parts):  # /ping has none
            await asyncio.get_running_loop().run_in_executor(pool, classify, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def main(what: str) -> None:
    settings = from_environ(os.environ, cpus=2)
    make = (lambda: floor_app(settings)) if what == "floor" else (lambda: sleeping_app(settings, float(what)))
    Server(gunicorn_options(settings), make).run()


if __name__ == "__main__":
    main(sys.argv[1])
