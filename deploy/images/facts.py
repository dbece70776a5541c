"""What a plan needs to know of an image: its CUDA and its size."""

from __future__ import annotations

import json
from dataclasses import dataclass

from deploy.images import engine
from deploy.images.cuda import LABEL


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """`cuda` is like 12.8, "" for an image without; `size_bytes` is uncompressed, 0 when it is not known."""

    cuda: str = ""
    size_bytes: int = 0


def look(reference: str, run: engine.Run = engine.answer) -> ImageFacts:
    """The facts of an image that the engine here has; none of one that it has not."""
    status, said = run(["docker", "image", "inspect", "--format={{json .}}", reference])
    return parse(said) if status == 0 else ImageFacts()


def parse(text: str) -> ImageFacts:
    """From what `docker image inspect` says."""
    found = json.loads(text)
    labels = (found.get("Config") or {}).get("Labels") or {}
    return ImageFacts(cuda=labels.get(LABEL, ""), size_bytes=int(found.get("Size", 0)))
