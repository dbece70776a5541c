"""What a plan needs to know about an image: its CUDA version and its size."""

from __future__ import annotations

import json
from dataclasses import dataclass

from deploy.images import engine
from deploy.images.cuda import LABEL


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """`cuda` is like 12.8, "" for an image without CUDA; `size_bytes` is the uncompressed size, 0 if unknown."""

    cuda: str = ""
    size_bytes: int = 0


def look(reference: str, run: engine.Run = engine.execute) -> ImageFacts:
    """The facts of an image in the engine; empty facts for an image that the engine does not have."""
    status, output = run(["docker", "image", "inspect", "--format={{json .}}", reference])
    return parse(output) if status == 0 else ImageFacts()


def parse(text: str) -> ImageFacts:
    """The facts in the output of `docker image inspect`."""
    image = json.loads(text)
    labels = (image.get("Config") or {}).get("Labels") or {}
    return ImageFacts(cuda=labels.get(LABEL, ""), size_bytes=int(image.get("Size", 0)))
