"""The accuracy of a peer's frozen training, at a fraction of the time. Runs in a peer's environment with torch.

    python -m benchmarks.training.views JOB ROUNDS

A frozen backbone in eval mode computes the same features whichever trainer trains the head. So the pictures of each of
the plain loop's epochs (with torchvision's random crops and flips) pass through the backbone once, in bf16, and their
features are stored. The head is then trained on these epochs, batch by batch, as the loop would. Each seed starts from
another head and shuffles, for each picture, which epoch's crop it uses when. Test and validation pictures are computed
in float32 with contract.preprocess. Of the learning rates in RATES, the one with the best validation over all seeds is
used, because a peer's user would search for it too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import environments
from benchmarks.training.job import Job, read_job

RATES = (0.1, 0.03, 0.01, 0.003, 0.001)
FOLDER = environments.HOME / "views"


def peer_top1(python: Path, job: Job, seeds: int) -> dict[str, Any]:
    """Test top-1 of each seed and the best learning rate. The host, which has no torch, calls this."""
    command = [str(python), "-m", "benchmarks.training.views", str(job.write()), str(seeds)]
    variables = {**os.environ, "PYTHONPATH": str(environments.ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(job: Job, seeds: int) -> dict[str, Any]:
    import torch

    kept = [_kept(job, f"train-{epoch:02d}") for epoch in range(job.epochs)]
    views = torch.stack([part["features"] for part in kept])
    valid, test = _kept(job, "valid"), _kept(job, "test")
    by_rate = {}
    for rate in RATES:
        heads = [_head(job, views, kept[0]["labels"], seed, rate) for seed in range(seeds)]
        validated = sum(_top1(head, valid) for head in heads) / seeds
        by_rate[rate] = (validated, [_top1(head, test) for head in heads])
    best = max(by_rate, key=lambda rate: by_rate[rate][0])
    tests = {str(rate): top1 for rate, (_, top1) in by_rate.items()}
    return {"rate": best, "valid": by_rate[best][0], "test": by_rate[best][1], "every_rate": tests}


def _kept(job: Job, name: str) -> Any:
    """A split's stored features and labels; computes and stores them if needed."""
    import torch

    path = FOLDER / f"{name}.pt"
    if not path.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        print(f"  features of {name}", file=sys.stderr, flush=True)
        partial = path.with_suffix(".part")
        torch.save(_features(job, name), partial)
        partial.rename(path)
    return torch.load(path, weights_only=True)


def _features(job: Job, name: str) -> dict[str, Any]:
    import torch
    from torch import nn

    from benchmarks.training import network
    from contract import models

    begun = network.start(job)
    models.attach_head(begun.model, nn.Identity(), models.head_name(begun.model))
    begun.model.eval().to(memory_format=torch.channels_last)
    learning = name.startswith("train")
    torch.manual_seed(hash_of(name))
    rows, labels = [], []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=learning):
        for pictures, numbers in _batches(job, begun, name):
            rows.append(begun.model(pictures.contiguous(memory_format=torch.channels_last)).float())
            labels.append(numbers)
    return {"features": torch.cat(rows), "labels": torch.cat(labels)}


def _batches(job: Job, begun: Any, name: str) -> Any:
    """Batches in the folder's order: training pictures with crops and flips, others as an artifact is served."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    from benchmarks.training import folders
    from contract.preprocess import Preprocessing, open_picture, to_array

    scale = Preprocessing(mean=begun.mean, std=begun.std)
    if name.startswith("train"):
        data = folders.dataset(job.data / "train", begun, resize=job.resize, crop=job.crop, augment=True)
    else:
        data = ImageFolder(
            str(job.data / name), loader=lambda path: to_array(open_picture(Path(path).read_bytes()), scale)
        )
    return DataLoader(data, batch_size=job.batch, num_workers=job.workers)


def _head(job: Job, views: Any, labels: Any, seed: int, rate: float) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(seed)
    head = nn.Linear(views.shape[2], int(labels.max()) + 1)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=job.epochs)
    turns = torch.stack([torch.randperm(len(views)) for _ in labels], dim=1)  # (epochs, pictures)
    for epoch in range(job.epochs):
        for part in torch.randperm(len(labels)).split(job.batch):
            loss = nn.functional.cross_entropy(head(views[turns[epoch, part], part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return head


def _top1(head: Any, split: Any) -> float:
    return float((head(split["features"]).argmax(dim=1) == split["labels"]).double().mean())


def hash_of(name: str) -> int:
    """A seed for each view, the same on every machine."""
    return int.from_bytes(name.encode(), "big") % (2**31)


if __name__ == "__main__":
    print(json.dumps(main(read_job(Path(sys.argv[1])), int(sys.argv[2]))))
