"""BentoML: `bentoml serve` with a service that uses adaptive batching, as its guide recommends for throughput."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks.serving.peer import Peer, Place, file_form, jpeg

BODY, FORM_TYPE = file_form("pictures")


def command(place: Place) -> list[str]:
    service = "Null" if place.kind == "null" else "Classifier"
    target = f"benchmarks.serving.handlers.bentoml_service:{service}"
    program = str(place.python.with_name("bentoml"))
    return [program, "serve", target, "--host", "127.0.0.1", "--port", str(place.port)]


def environment(place: Place) -> dict[str, str]:
    return {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(place.folder / "bentoml")}


def read(body: bytes) -> list[float]:
    return [float(value) for value in json.loads(body)[0]]


PEER = Peer(
    name="bentoml",
    requirements=("bentoml==1.4.39",),
    command=command,
    environment=environment,
    read=read,
    ready="/readyz",
    path=lambda _: "/classify",
    body=BODY,
    content_type=FORM_TYPE,
    kinds=("resnet50", "onnx", "null"),
    tuning="one worker with all threads, adaptive batching of up to 8 (its guide on adaptive batching)",
)
NULL = replace(PEER, body=jpeg, content_type="image/jpeg", tuning="one worker, an async API with the body as it is")
