"""multi-model-server, a Java server with Python workers, as sagemaker-inference starts it in SageMaker's containers.

Configuration, log settings and handler service are the toolkit's. Its own start-up is not used, because it writes to
/etc, listens on every address and reads the model from /opt/ml. The last version is from 2023 and runs on Python 3.11
with a setuptools that still has pkg_resources. The toolkit's handler answers one request at a time, so there is nothing
to batch.

CPU a request of the server without a model, over 8 connections: 0.83–0.87 ms with two workers, 1.06 ms with one. So it
runs with two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.serving.peer import ROOT, Peer, Place
from benchmarks.serving.peers import java

PYTHON = "3.11"
LOGS = f"lib/python{PYTHON}/site-packages/sagemaker_inference/etc/log4j2.xml"
FUNCTIONS = "from benchmarks.serving.handlers.sagemaker_functions import input_fn, model_fn, output_fn, predict_fn\n"


def files(place: Place, *, workers: int) -> Mapping[str, str]:
    """The toolkit's configuration, but listening on loopback, and the user's code."""
    address = f"http://127.0.0.1:{place.port}"
    config = {
        "enable_envvars_config": "true",
        "decode_input_request": "false",
        "load_models": "ALL",
        "default_response_timeout": 60,
        "default_workers_per_model": workers,
        "inference_address": address,
        "management_address": address,
        "vmargs": "-XX:-UseContainerSupport",
        "default_service_handler": "sagemaker_inference.default_handler_service",
        "async_logging": "true",
    }
    written = "".join(f"{key}={value}\n" for key, value in config.items())
    return {"mms.properties": written, "model/code/inference.py": FUNCTIONS}


def command(place: Place) -> list[str]:
    """Raises RuntimeError without Java."""
    java.check()
    return [
        str(place.python.parent / "multi-model-server"), "--start", "--foreground", "--mms-config", "mms.properties",
        "--log-config", str(place.python.parents[1] / LOGS), "--model-store", "/",
        "--models", f"model={place.folder / 'model'}",
    ]  # fmt: skip


def environment(place: Place, *, threads: int) -> dict[str, str]:
    """Puts its process file and sockets into the server's folder, so that two servers can run on one machine."""
    count, folder = str(threads), str(place.folder)
    variables = {"OMP_NUM_THREADS": count, "BENCHMARK_THREADS": count, "TMPDIR": folder, "TEMP": folder}
    return {**variables, "PYTHONPATH": f"{place.folder / 'model' / 'code'}:{ROOT}"}


PEER = Peer(
    name="multi_model_server",
    requirements=("multi-model-server==1.1.11", "sagemaker-inference==1.10.1", "setuptools<81"),
    python=PYTHON,
    command=command,
    files=lambda place: files(place, workers=place.cpus),
    environment=lambda place: environment(place, threads=1),
    ready="/predictions/model",  # an empty request: /ping is healthy before a worker has loaded the model
    path=lambda _: "/invocations",
    read=lambda answer: [float(number) for number in json.loads(answer)],
    kinds=("resnet50", "onnx", "null"),
    tuning="default_workers_per_model = cores, one thread each (the toolkit's default), asynchronous logging",
)
