"""`python -m train weights MODEL OUT.safetensors`: torchvision's official ImageNet weights as a safetensors file."""

from __future__ import annotations

import argparse
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

UNREACHABLE = 3
SECONDS = 5.0  # to know whether the source answers at all
Download = Callable[[str, Path], Path]


def main(argv: Sequence[str], *, download: Download | None = None) -> int:
    """Exit code 0, 2 for an unknown model, 3 where the source is out of reach; a line on stderr says which."""
    parser = argparse.ArgumentParser(prog="kennel-train weights", description=__doc__)
    parser.add_argument("model", help="torchvision name, such as resnet50")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    chosen = parser.parse_args(argv)
    from contract import models  # torch takes seconds to import: --help does without
    from train.learning import weights

    if chosen.model not in models.names():
        return _say(f"unknown model {chosen.model!r}; known are {', '.join(models.names())}", 2)
    with tempfile.TemporaryDirectory(prefix="kennel-") as cache:
        try:
            found = weights.official(chosen.model, Path(cache), download=download or _probe_and_fetch)
        except models.ModelError as error:
            return _say(str(error), UNREACHABLE)
    part = chosen.out.with_name(f".{chosen.out.name}.part")
    models.write_weights(part, found)
    part.replace(chosen.out)
    return _say(f"{chosen.out} written: {found.source}", 0)


def _probe_and_fetch(url: str, cache: Path) -> Path:
    from train.learning import weights

    head = urllib.request.Request(url, method="HEAD")  # noqa: S310 - torchvision's own https address
    with urllib.request.urlopen(head, timeout=SECONDS):  # noqa: S310
        return weights.fetch(url, cache)


def _say(text: str, code: int) -> int:
    print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201
    return code
