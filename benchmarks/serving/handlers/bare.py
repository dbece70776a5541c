"""A bare loop in one process that decodes pictures and runs ONNX Runtime in fp32.

    python -m benchmarks.serving.handlers.bare DIRECTORY SECONDS BATCH

Runs in our serving environment, as shipped. Prints pictures a second as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.serving.handlers import network


def main(folder: Path, seconds: float, batch: int) -> None:
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    decode, forward = network.decoder(), network.onnx_forward(network.cpus())
    forward(np.stack([decode(pictures[0])] * batch))
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        forward(np.stack([decode(pictures[(done + index) % len(pictures)]) for index in range(batch)]))
        done += batch
    print(json.dumps({"rate": done / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
