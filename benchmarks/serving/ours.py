"""Our server, described like a peer: `python -m serve` as the image starts it, with the versions of its lock."""

from __future__ import annotations

import json

from benchmarks.serving.peer import Peer, Place


def command(place: Place) -> list[str]:
    module = "benchmarks.serving.handlers.kennel_null" if place.kind == "null" else "serve"
    return [str(place.python), "-m", module]


def environment(place: Place) -> dict[str, str]:
    engine = {"KENNEL_ENGINE": "onnxruntime-fp32"} if place.kind == "onnx" else {}
    return {"KENNEL_MODEL_DIR": str(place.model), "SAGEMAKER_BIND_TO_PORT": str(place.port), **engine}


def read(body: bytes) -> list[float]:
    return [float(value) for value in json.loads(body)[0]]


OURS = Peer(
    name="ours",
    requirements=(),
    command=command,
    environment=environment,
    read=read,
    ready="/ping",
    path=lambda _: "/invocations?form=probabilities",
    kinds=("resnet50", "onnx", "null"),
    tuning="as shipped",
)
