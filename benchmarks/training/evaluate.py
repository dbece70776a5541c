"""The same evaluation for all models: float32 torch with contract.preprocess. Runs in a peer's environment.

    python -m benchmarks.training.evaluate MODEL PICTURES WEIGHTS

MODEL: a peer's model.pt, or the folder of one of our artifacts. Prints a line of JSON: the top-1, and how many numbers
of the backbone differ from the starting weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import environments

BATCH = 32


def evaluate(python: Path, model: Path, pictures: Path, weights: Path) -> dict[str, float]:
    """Runs this module with `python`, which has torch. The host, which has no torch, calls this."""
    command = [str(python), "-m", "benchmarks.training.evaluate", str(model), str(pictures), str(weights)]
    variables = {**os.environ, "PYTHONPATH": str(environments.ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


def main(model: Path, pictures: Path, weights: Path) -> dict[str, float]:
    import torch

    from benchmarks.training import network
    from contract import models

    started = models.read_weights(weights, architecture=network.ARCHITECTURE)
    labels = sorted(path.name for path in pictures.iterdir())
    net = models.build(network.ARCHITECTURE, len(labels), started.variant)
    net.load_state_dict(_state(model), strict=False)
    net.eval().to(memory_format=torch.channels_last)
    head = models.head_name(net)
    changed = sum(
        int((value != started.state[name]).sum()) for name, value in net.named_parameters() if not name.startswith(head)
    )
    return {"top1": _top1(net, pictures, labels, started), "backbone_changed": float(changed)}


def _state(model: Path) -> Any:
    import safetensors.torch
    import torch

    if model.is_dir():
        return safetensors.torch.load_file(model / "model.safetensors")
    return torch.load(model, weights_only=True)


def _top1(net: Any, pictures: Path, labels: list[str], weights: Any) -> float:
    import numpy as np
    import torch

    from contract.preprocess import Preprocessing, open_picture, to_array

    scale = Preprocessing(mean=weights.mean, std=weights.std)
    files = sorted(pictures.glob("*/*.jpg"))
    hits = 0
    with torch.inference_mode():
        for start in range(0, len(files), BATCH):
            some = files[start : start + BATCH]
            arrays = np.stack([to_array(open_picture(path.read_bytes()), scale) for path in some])
            answers = net(torch.from_numpy(arrays).contiguous(memory_format=torch.channels_last)).argmax(dim=1)
            hits += sum(labels[int(answer)] == path.parent.name for answer, path in zip(answers, some, strict=True))
    return hits / len(files)


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:4]))))
