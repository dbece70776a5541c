"""What a peer of the serving benchmarks is: how it is installed, started, asked and read. Values and pure functions.

A peer is a module `benchmarks.serving.peers.NAME` with a value PEER (and NULL, where its null server is asked another
way). What runs inside the peer's own environment (its handler) is a module of `benchmarks.serving.handlers`, which may
import `contract` and `handlers.network`, so that every server decodes by the same code and has the same weights.
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
TORCH = ("torch==2.15.0", "torchvision==0.29.2")  # as docker/train.in
NETWORK = ("numpy", "pillow", "safetensors", "onnxruntime==1.31.1")  # what `contract` and handlers.network import

NetworkKind = Literal["resnet50", "onnx", "null"]
"""What a server does: the artifact's ResNet-50 by torch in float32; model.onnx by ONNX Runtime in float32 ("the same
engine"); or no model at all: it reads the body and answers 14 equal probabilities (the server's own cost)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and as what a server runs once. `model` is a folder with a Kennel artifact (model.json and so on)."""

    kind: NetworkKind
    python: Path
    folder: Path
    port: int
    model: Path
    cpus: int


def jpeg(picture: bytes) -> bytes:
    """The body of a server that takes a picture as it is."""
    return picture


def file_form(field_name: str) -> tuple[Callable[[bytes], bytes], str]:
    """How a picture becomes a multipart form with one file, and that form's content type."""
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
    """A server of others (or ours) as the benchmarks drive it.

    files        written into place.folder before each start: its configuration, name to text
    command      argv; runs in place.folder, in the foreground, in a process group of its own, on 127.0.0.1:place.port
    environment  on top of a bare environment (PATH, HOME, PYTHONPATH=ROOT) and of `common_environment(place)`
    ready        GET of this path answers 200 once the model answers, and not before
    path         of the inference, by kind
    body         a JPEG's bytes to the request's body, of `content_type`; `headers` go with each request
    read         an answer's body to the probabilities of the labels, in the order of the artifact's labels
    refused      statuses that mean "overloaded", for the table of overload
    tuning       one line for the table: the set-up chosen, with the guide that it comes from
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
        """All that is installed into the peer's environment, by name."""
        return (*self.requirements, *self.torch, *NETWORK)


def common_environment(place: Place) -> dict[str, str]:
    """What handlers read (see handlers.network) and what holds for every peer."""
    return {
        "BENCHMARK_KIND": place.kind,
        "BENCHMARK_MODEL": str(place.model),
        "BENCHMARK_PORT": str(place.port),
        "BENCHMARK_CPUS": str(place.cpus),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def named(name: str, kind: NetworkKind = "resnet50") -> Peer:
    """The peer of one of NAMES; its NULL, where there is one, is for the kind "null"."""
    module = importlib.import_module(f"benchmarks.serving.peers.{name}")
    peer = getattr(module, "NULL", module.PEER) if kind == "null" else module.PEER
    if not isinstance(peer, Peer):
        raise TypeError(f"{module.__name__}.PEER is no Peer")
    return peer
