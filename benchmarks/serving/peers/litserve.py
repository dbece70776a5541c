"""LitServe, with batched requests, as its guide to faster serving recommends."""

from __future__ import annotations

import json

from benchmarks.serving.peer import Peer, Place, file_form

BODY, FORM_TYPE = file_form("content")  # its guide on files sends pictures like this


def command(place: Place) -> list[str]:
    return [str(place.python), "-m", "benchmarks.serving.handlers.litserve_server"]


def read(body: bytes) -> list[float]:
    return [float(value) for value in json.loads(body)["probabilities"]]


PEER = Peer(
    name="litserve",
    requirements=("litserve==0.2.19", "pyzmq", "python-multipart"),
    command=command,
    read=read,
    ready="/health",
    path=lambda _: "/predict",
    body=BODY,
    content_type=FORM_TYPE,
    kinds=("resnet50", "onnx", "null"),
    tuning="one worker with all threads, batches of up to 8 (its guide on batching), its ZeroMQ queue",
)
