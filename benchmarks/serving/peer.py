"""Describes a peer of the serving benchmarks: how to install it, start it, send requests and read answers.

Values and pure functions. A peer is a module `benchmarks.serving.peers.NAME` with a value PEER, and NULL if its server
without a model is set up differently. Its handler, which runs in the peer's environment, is a module of
`benchmarks.serving.handlers`. Handlers may import `contract` and `handlers.network`, so that every server decodes with
the same code and has the same weights.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
NAMES = ("litserve", "bentoml", "ray", "mlserver", "torchserve", "multi_model_server")
PYTHON = "3.13"  # the serving image's
TORCH = ("torch==2.15.0", "torchvision==0.29.2")  # the versions of docker/train.in
NETWORK = ("numpy", "pillow", "safetensors", "onnxruntime==1.31.1")  # imported by `contract` and handlers.network

NetworkKind = Literal["resnet50", "onnx", "null"]
"""What a server runs: "resnet50" is the artifact's ResNet-50 in torch, float32; "onnx" is model.onnx in ONNX Runtime,
float32 (the same engine); "null" is no model: it reads the body and answers 14 equal probabilities (the server's cost).
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one run of a server takes place. `model` is the folder of a Kennel artifact (model.json and so on)."""

    kind: NetworkKind
    python: Path
    folder: Path
    port: int
    model: Path
    cpus: int


def jpeg(picture: bytes) -> bytes:
    """The request body of a server that takes the picture itself."""
    return picture


def file_form(field_name: str) -> tuple[Callable[[bytes], bytes], str]:
    """A function from a picture to a multipart form with one file, and the form's content type."""
    boundary = "kennel-benchmark"
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{field_name}"; filename="picture.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    return (lambda picture: head + picture + end), f"multipart/form-data; boundary={boundary}"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A server, a peer or ours, as the benchmarks run it.

    files        configuration files by name, written to place.folder before each start
    command      argv; runs in place.folder, in the foreground, in its own process group, on 127.0.0.1:place.port
    environment  added to a bare environment (PATH, HOME, PYTHONPATH=ROOT) and `common_environment(place)`
    ready        path whose GET answers 200 as soon as the model can answer, and not before
    path         path of the inference
    body         from a JPEG's bytes to the request's body of `content_type`; `headers` go with each request
    read         from an answer's body to the probabilities, in the order of the artifact's labels
    refused      statuses that mean "overloaded"
    tuning       one line for the table: how the server is set up, and the guide that recommends it
    """

    name: str
    requirements: tuple[str, ...]
    command: Callable[[Place], list[str]]
    read: Callable[[bytes], list[float]]
    ready: str
    path: Callable[[Place], str]
    files: Callable[[Place], Mapping[str, str]] = field(default=lambda _: {})
    environment: Callable[[Place], Mapping[str, str]] = field(default=lambda _: {})
    body: Callable[[bytes], bytes] = jpeg
    content_type: str = "image/jpeg"
    headers: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[NetworkKind, ...] = ("resnet50", "null")
    refused: tuple[int, ...] = (429, 503)
    python: str = PYTHON
    torch: tuple[str, ...] = TORCH
    ready_seconds: float = 120.0
    tuning: str = ""

    def packages(self) -> tuple[str, ...]:
        """The packages of the peer's environment."""
        return (*self.requirements, *self.torch, *NETWORK)


def common_environment(place: Place) -> dict[str, str]:
    """The variables that handlers read (see handlers.network), and those that every peer needs."""
    return {
        "BENCHMARK_KIND": place.kind,
        "BENCHMARK_MODEL": str(place.model),
        "BENCHMARK_PORT": str(place.port),
        "BENCHMARK_CPUS": str(place.cpus),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def named(name: str, kind: NetworkKind = "resnet50") -> Peer:
    """The peer with this name (one of NAMES). For the kind "null" it is the module's NULL, if there is one."""
    module = importlib.import_module(f"benchmarks.serving.peers.{name}")
    peer = getattr(module, "NULL", module.PEER) if kind == "null" else module.PEER
    if not isinstance(peer, Peer):
        raise TypeError(f"{module.__name__}.PEER is not a Peer")
    return peer
