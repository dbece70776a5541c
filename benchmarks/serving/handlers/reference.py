"""Prints torch's fp32 answers for a folder's pictures: `python -m benchmarks.serving.handlers.reference DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.serving.handlers import network


def main(folder: Path) -> None:
    decode, forward = network.decoder(), network.torch_forward(1)
    rows = [forward(np.stack([decode(path.read_bytes())]))[0].tolist() for path in sorted(folder.glob("*.jpg"))]
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
