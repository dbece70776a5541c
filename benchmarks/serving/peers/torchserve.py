"""TorchServe: a Java server (needs JRE 11 or later on PATH) with Python workers; the request's body is the picture.

The model is the folder that torch-model-archiver writes in its no-archive format, so nothing is packed at the start.

CPU a request of the server without a model, over 8 connections: 1.1–1.2 ms with two workers, 1.9 ms with one, and
0.73–0.83 ms with one worker and batches of up to 8 pictures. So it runs with the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.serving.peer import Peer, Place
from benchmarks.serving.peers import java

MODEL = "kennel"
NEEDED = (
    "psutil",
    "pyyaml",
    "packaging",
    "requests",
    "setuptools<81",
)  # from its requirements file; its package declares none
HANDLER = "from benchmarks.serving.handlers.torchserve_handler import handle\n"


def files(place: Place, *, workers: int, batch: int = 1, delay_ms: int = 10) -> Mapping[str, str]:
    """config.properties and the model's folder. gRPC cannot be disabled; it listens on the two ports after ours."""
    address = f"http://127.0.0.1:{place.port}"
    model = {
        "marName": MODEL, "minWorkers": workers, "maxWorkers": workers, "batchSize": batch,
        "maxBatchDelay": delay_ms, "responseTimeout": 120, "defaultVersion": True,
    }  # fmt: skip
    config = {
        "inference_address": address,
        "management_address": address,
        "enable_metrics_api": "false",
        "disable_system_metrics": "true",
        "grpc_inference_port": place.port + 1,
        "grpc_management_port": place.port + 2,
        "model_store": "store",
        "load_models": MODEL,
        "models": json.dumps({MODEL: {"1.0": model}}),
        "disable_token_authorization": "true",
        "async_logging": "true",
    }
    about = {
        "runtime": "python", "archiverVersion": "0.12.0", "createdOn": "01/01/2026 00:00:00",
        "model": {"modelName": MODEL, "modelVersion": "1.0", "handler": "handler.py"},
    }  # fmt: skip
    return {
        "config.properties": "".join(f"{key}={value}\n" for key, value in config.items()),
        f"store/{MODEL}/MAR-INF/MANIFEST.json": json.dumps(about),
        f"store/{MODEL}/handler.py": HANDLER,
    }


def command(place: Place) -> list[str]:
    """The argv, with token authorisation disabled as its guide says. Raises RuntimeError without Java."""
    java.check()
    start = [str(place.python.parent / "torchserve"), "--start", "--foreground", "--ts-config", "config.properties"]
    return [*start, "--disable-token-auth", "--no-config-snapshots"]


def environment(place: Place, *, threads: int) -> dict[str, str]:
    """Puts its process file and sockets into the server's folder, so that two servers can run on one machine."""
    count = str(threads)
    folder = str(place.folder)
    return {"OMP_NUM_THREADS": count, "BENCHMARK_THREADS": count, "TMPDIR": folder, "TEMP": folder}


PEER = Peer(
    name="torchserve",
    requirements=("torchserve==0.12.0", *NEEDED),
    python="3.11",
    command=command,
    files=lambda place: files(place, workers=place.cpus),
    environment=lambda place: environment(place, threads=1),
    ready=f"/predictions/{MODEL}",  # an empty request: /ping is healthy before a worker has loaded the model
    path=lambda _: f"/predictions/{MODEL}",
    read=lambda answer: [float(number) for number in json.loads(answer)],
    kinds=("resnet50", "onnx", "null"),
    tuning="workers = cores, one thread each, no batching (its performance guide), asynchronous logging",
)
NULL = replace(
    PEER,
    files=lambda place: files(place, workers=1, batch=8, delay_ms=1),
    tuning="one worker, batches of up to 8 (its guide on batch inference), asynchronous logging",
)
