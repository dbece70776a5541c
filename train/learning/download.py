"""`train weights MODEL OUT.safetensors`: writes torchvision's official ImageNet weights to a safetensors file."""

from __future__ import annotations

import argparse
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

UNREACHABLE = 3
SECONDS = 5.0  # timeout of the first request, which tells whether the source is reachable
Download = Callable[[str, Path], Path]


def main(argv: Sequence[str], *, download: Download | None = None) -> int:
    """Exit codes: 0 written, 2 unknown model, 3 source unreachable. A line on stderr says which."""
    parser = argparse.ArgumentParser(prog="kennel-train weights", description=__doc__)
    parser.add_argument("model", help="torchvision name, for example resnet50")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    chosen = parser.parse_args(argv)
    from contract import models  # importing torch takes seconds, and --help needs none
    from train.learning import weights

    if chosen.model not in models.names():
        return _exit(f"unknown model {chosen.model!r}; choose one of {', '.join(models.names())}", 2)
    with tempfile.TemporaryDirectory(prefix="kennel-") as cache:
        try:
            official = weights.official(chosen.model, Path(cache), download=download or _probe_and_fetch)
        except models.ModelError as error:
            return _exit(str(error), UNREACHABLE)
    part = chosen.out.with_name(f".{chosen.out.name}.part")
    models.write_weights(part, official)
    part.replace(chosen.out)
    return _exit(f"{chosen.out} written: {official.source}", 0)


def _probe_and_fetch(url: str, cache: Path) -> Path:
    from train.learning import weights

    head = urllib.request.Request(url, method="HEAD")  # noqa: S310 - torchvision's own https address
    with urllib.request.urlopen(head, timeout=SECONDS):  # noqa: S310
        return weights.fetch(url, cache)


def _exit(text: str, code: int) -> int:
    print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201
    return code
