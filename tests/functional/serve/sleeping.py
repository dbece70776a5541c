"""`python -m tests.functional.serve.sleeping SECONDS`: the shipped server with a network that sleeps SECONDS for each
inference of one picture, so that its capacity is known whatever else the machine does.

With `floor` instead of SECONDS: the smallest program that does the same work under the same worker. It reads the body,
decodes it and runs the network in a thread, and answers two bytes.
"""

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
from serve.__main__ import Server, gunicorn_options
from serve.app import App, build_service
from serve.asgi import Receive, Send
from serve.batcher import Batcher
from serve.environment import Settings, from_environ
from serve.loader import Loader
from serve.metrics import Metrics
from serve.predictor import Predictor
from serve.startup import end_worker
from tests.unit.serve.services import predictor


def sleeping_app(settings: Settings, seconds: float) -> Any:
    model = predictor()

    def run(pictures: FloatArray) -> Any:
        time.sleep(seconds)
        return model.network.run(pictures)

    def batcher(slow_model: Predictor) -> Batcher:
        return Batcher(slow_model.logits, max_batch=1)

    slow = replace(model, network=replace(model.network, run=run))
    loader = Loader(lambda: slow, batcher, on_refused=end_worker)
    app = App(build_service(settings, loader, Metrics()))
    loader.start()
    return app


def floor_app(settings: Settings) -> Any:
    model, pool = predictor(), ThreadPoolExecutor(1)

    def classify(body: bytes) -> None:
        model.logits(codec.decode(body, model.preprocessing, max_pixels=settings.max_pixels)[None])

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


def main(argument: str) -> None:
    settings = from_environ(os.environ, cpus=2)
    make = (lambda: floor_app(settings)) if argument == "floor" else (lambda: sleeping_app(settings, float(argument)))
    Server(gunicorn_options(settings), make).run()


if __name__ == "__main__":
    main(sys.argv[1])
