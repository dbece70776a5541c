"""MLServer: a custom runtime behind the V2 inference protocol, with the picture as a base64 string in JSON.

Its REST server has no binary tensors (only gRPC has them), so its guide on content types leaves base64.
uvloop 0.22 removed a function that its workers call, so an older uvloop is installed.

CPU a request of the server without a model, over 8 connections: 1.20–1.29 ms with two parallel workers; 0.47 ms with
none, which its guide on parallel inference allows. So the server without a model runs with none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.serving.peer import Peer, Place

MODEL = "kennel"


def settings(
    place: Place, *, workers: int, threads: int, batch: int = 0, seconds: float = 0.0, channels_last: bool = False
) -> Mapping[str, str]:
    """Its two configuration files. workers: processes besides the server; batch: of adaptive batching, 0 for none."""
    server = {
        "host": "127.0.0.1", "http_port": place.port, "grpc_port": 0, "metrics_endpoint": None, "debug": False,
        "parallel_workers": workers,
    }  # fmt: skip
    model = {
        "name": MODEL, "implementation": "benchmarks.serving.handlers.mlserver_model.Classifier",
        "max_batch_size": batch, "max_batch_time": seconds,
        "parameters": {"extra": {"threads": threads, "channels_last": channels_last}},
    }  # fmt: skip
    return {"settings.json": json.dumps(server), "model-settings.json": json.dumps(model)}


def body(picture: bytes) -> bytes:
    """A request with one picture as the protocol's BYTES tensor."""
    tensor = {
        "name": "picture", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(picture).decode("ascii")],
    }  # fmt: skip
    return json.dumps({"inputs": [tensor]}).encode()


def read(answer: bytes) -> list[float]:
    """The numbers of the answer's only output."""
    [output] = json.loads(answer)["outputs"]
    return [float(number) for number in output["data"]]


PEER = Peer(
    name="mlserver",
    requirements=("mlserver==1.7.1", "uvloop<0.22"),
    python="3.11",
    command=lambda place: [str(place.python.parent / "mlserver"), "start", "."],
    files=lambda place: settings(place, workers=place.cpus, threads=1),
    environment=lambda _: {"OMP_NUM_THREADS": "1"},
    ready=f"/v2/models/{MODEL}/ready",
    path=lambda _: f"/v2/models/{MODEL}/infer",
    body=body,
    content_type="application/json",
    read=read,
    kinds=("resnet50", "onnx", "null"),
    tuning="parallel_workers = cores, one thread each (its guide on parallel inference); metrics off",
)
NULL = replace(
    PEER,
    files=lambda place: settings(place, workers=0, threads=1),
    tuning="no parallel workers, as its guide allows and as is cheapest; metrics off",
)
