"""`python -m train weights MODEL OUT.safetensors`: torchvision's official ImageNet weights as a safetensors file."""

from __future__ import annotations

import argparse
import http.client
import io
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

UNREACHABLE = 3
SECONDS = 5.0


class Unreachable(Exception):  # noqa: N818 - a state of the network, not a mistake
    """The official source does not answer; says which address."""


def main(argv: Sequence[str], *, fetch: Callable[[str], bytes] | None = None) -> int:
    """Exit code 0, 2 for an unknown model, 3 where the source is out of reach; a line on stderr says which."""
    parser = argparse.ArgumentParser(prog="kennel-train weights", description=__doc__)
    parser.add_argument("model", help="torchvision name, such as resnet50")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    chosen = parser.parse_args(argv)
    from contract.models import ModelError  # importing torch takes seconds: --help does without

    try:
        save_official(chosen.model, chosen.out, fetch=fetch or _fetch)
    except ModelError as error:
        _say(str(error))
        return 2
    except Unreachable as error:
        _say(f"official weights are out of reach: {error}")
        return UNREACHABLE
    _say(f"{chosen.out} written")
    return 0


def save_official(architecture: str, out: Path, *, fetch: Callable[[str], bytes]) -> None:
    """Fetches torchvision's default ImageNet weights and writes them with the metadata of contract.models."""
    import torch
    import torchvision

    from contract import models

    if architecture not in models.names():
        raise models.ModelError(f"unknown model {architecture!r}; known are {', '.join(models.names())}")
    official = torchvision.models.get_model_weights(architecture).DEFAULT
    about = official.transforms()
    content = fetch(official.url)
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    weights = models.Weights(
        state=state,
        architecture=architecture,
        mean=tuple(about.mean),
        std=tuple(about.std),
        source=f"torchvision {official}",
    )
    part = out.with_name(f".{out.name}.part")
    models.write_weights(part, weights)
    part.replace(out)


def _fetch(url: str) -> bytes:
    """The file at `url`, checked against the hash that torchvision keeps in its name."""
    import hashlib

    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - torchvision's own https address
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error
    expected = Path(url).stem.rpartition("-")[2]
    if not hashlib.sha256(content).hexdigest().startswith(expected):
        raise Unreachable(f"{url}: what came does not match the checksum in its name")
    return content


def _say(text: str) -> None:
    print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201
