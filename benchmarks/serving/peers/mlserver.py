"""MLServer: a custom runtime behind the V2 inference protocol; the picture is a base64 string in its JSON.

Its REST server has no binary tensors (only gRPC has), so base64 is what its guide on content types leaves.
uvloop 0.22 took away what its workers call, so the one before is installed.

Tried for the null server, CPU a request over 8 connections: two parallel workers 1.20–1.29 ms, none but the server's
own process 0.47 (which its guide on parallel inference allows), so that stands.
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
    """Its two files. `workers` are processes (0: none but the server), `batch` is adaptive batching's, 0 is none."""
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
    """One picture as the protocol's BYTES tensor."""
    tensor = {
        "name": "picture", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(picture).decode("ascii")],
    }  # fmt: skip
    return json.dumps({"inputs": [tensor]}).encode()


def read(answer: bytes) -> list[float]:
    """The numbers of the only output."""
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
