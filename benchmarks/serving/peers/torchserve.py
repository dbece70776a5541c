"""TorchServe: a Java front (JRE 11 or later on PATH) before Python workers; the picture is the body.

The archive is the folder that torch-model-archiver's no-archive format makes, so starting need not pack one.

Tried for the null server, CPU a request over 8 connections: two workers 1.1–1.2 ms, one 1.9, one with batches of up to
8 pictures 0.73–0.83, so that stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.serving.peer import Peer, Place
from benchmarks.serving.peers import java

MODEL = "kennel"
NEEDED = ("psutil", "pyyaml", "packaging", "requests", "setuptools<81")  # its requirements file; the package names none
HANDLER = "from benchmarks.serving.handlers.torchserve_handler import handle\n"


def files(place: Place, *, workers: int, batch: int = 1, delay_ms: int = 10) -> Mapping[str, str]:
    """config.properties and the model's folder. gRPC listens in any case, on the two ports after ours."""
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
    """Token authorisation is on by default and off as its guide on it says. Raises RuntimeError without Java."""
    java.check()
    start = [str(place.python.parent / "torchserve"), "--start", "--foreground", "--ts-config", "config.properties"]
    return [*start, "--disable-token-auth", "--no-config-snapshots"]


def environment(place: Place, *, threads: int) -> dict[str, str]:
    """Its process file and sockets go into the server's folder, so that two may run on one machine."""
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
