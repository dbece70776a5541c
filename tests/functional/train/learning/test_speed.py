"""Speed: counts decoded and computed pictures, and compares times of the same run only.

A ratio is the best of several rounds in turns, so that a busy machine slows both sides alike.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from contract.preprocess import FloatArray, Preprocessing
from tests.functional.train import ranks
from train.learning import features
from train.learning.distributed import Ranks
from train.learning.features import Extractor, Features
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Sample
from train.pictures.loader import Transform

SCALE = Preprocessing(resize=40, crop=32)
VIEWS = 3


class Backbone(nn.Module):
    """A small network of convolutions and BatchNorms."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2), nn.BatchNorm2d(width), nn.ReLU(),
            *[nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(4)],
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(pictures)
        return found


@dataclass(frozen=True)
class Pass:
    """One forward pass: number of pictures, type, layout, and whether autocast cast the weights."""

    pictures: int
    kind: torch.dtype
    channels_last: bool
    autocast: bool


class Watched(Backbone):
    """Records its passes. Reads the pictures' values, so that torch.fx cannot trace it and the copy records too."""

    def __init__(self, together: int = 1) -> None:
        super().__init__()
        self.passes: list[Pass] = []
        self.threads: list[tuple[int, int]] = []  # which one computed, and of how many
        self.gate = threading.Barrier(together, timeout=60)  # so many passes begin at a time
        self.copies = 0

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if torch.isfinite(pictures).all():
            layout = pictures.is_contiguous(memory_format=torch.channels_last)
            self.passes.append(Pass(len(pictures), pictures.dtype, layout, torch.is_autocast_enabled("cpu")))
            self.threads.append((threading.get_ident(), torch.get_num_threads()))
            self.gate.wait()
        return super().forward(pictures)

    def __deepcopy__(self, _: object) -> Watched:
        self.copies += 1
        return self


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = ranks.pictures(tmp_path_factory.mktemp("pictures"), train=30) / "train"
    return [Sample(path=path, label=number % 3) for number, path in enumerate(sorted(folder.rglob("*.jpg")))]


def counting(view: Transform, decoded: list[int]) -> Transform:
    def transform(path: Path, index: int) -> FloatArray:
        decoded.append(index)
        return view(path, index)

    return transform


def extractor(backbone: nn.Module, folder: Path | None = None, kind: str = "fp32") -> Extractor:
    precision = Precision(name=kind, channels_last=True)
    return Extractor(backbone=backbone, ranks=Ranks(), precision=precision, workers=1, folder=folder, key="k")


def test_each_view_of_a_picture_is_decoded_and_computed_once_and_never_again(
    samples: list[Sample], tmp_path: Path
) -> None:
    decoded: list[int] = []
    backbone = Watched()
    views = [counting(view, decoded) for view in features.views(SCALE, VIEWS, augment=True, seed=0)]
    first = extractor(backbone, tmp_path).split("train", samples, views, lambda _: None)
    assert Counter(decoded) == dict.fromkeys(range(len(samples)), VIEWS)
    assert sum(done.pictures for done in backbone.passes) == VIEWS * len(samples)
    assert max(done.pictures for done in backbone.passes) <= features.BATCH
    for epoch in range(3):
        assert len(list(features.steps(first, 8, seed=0, epoch=epoch, first=0))) == 12
    again = extractor(backbone, tmp_path).split("train", samples, views, lambda _: None)
    assert torch.equal(first.values, again.values)
    assert len(decoded) == sum(done.pictures for done in backbone.passes) == VIEWS * len(samples)


@pytest.mark.parametrize(("kind", "numbers"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_backbone_is_prepared_once_and_nothing_is_cast_for_each_batch(
    kind: str, numbers: torch.dtype, samples: list[Sample]
) -> None:
    backbone = Watched()
    views = [loader.evaluation(SCALE), loader.evaluation(SCALE, mirrored=True)]
    extractor(backbone, kind=kind).split("train", samples[:32], views, lambda _: None)
    assert backbone.passes == 4 * [Pass(16, numbers, channels_last=True, autocast=False)]
    assert {weight.dtype for weight in backbone.parameters()} == {numbers}
    assert backbone.copies <= 2  # one to trace, one since it cannot be traced


@pytest.mark.parametrize("threads", [1, 2])
def test_on_a_cpu_each_thread_computes_batches_of_its_own(threads: int, samples: list[Sample]) -> None:
    backbone, before = Watched(together=threads), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        extractor(backbone).split("train", samples[:64], [loader.evaluation(SCALE)], lambda _: None)
    finally:
        torch.set_num_threads(before)
    assert len({thread for thread, _ in backbone.threads}) == threads
    assert {count for _, count in backbone.threads} == {1}


def test_the_features_are_those_of_the_plain_network(samples: list[Sample]) -> None:
    backbone = Backbone().eval()
    view = loader.evaluation(SCALE)
    found = extractor(backbone).split("train", samples, [view], lambda _: None)
    pictures = torch.from_numpy(np.stack([view(sample.path, 0) for sample in samples]))
    with torch.no_grad():
        torch.testing.assert_close(found.values[0], backbone(pictures), rtol=1e-4, atol=1e-5)


def test_no_batch_norm_is_computed_for_the_features(samples: list[Sample]) -> None:
    ran: list[nn.Module] = []
    watching = register_module_forward_pre_hook(lambda module, _: ran.append(module))
    try:
        extractor(Backbone()).split("train", samples[:16], [loader.evaluation(SCALE)], lambda _: None)
    finally:
        watching.remove()
    assert len({module for module in ran if isinstance(module, nn.Conv2d)}) == 5
    assert not [module for module in ran if isinstance(module, nn.BatchNorm2d)]


def test_the_pass_from_tensors_to_features_adds_little_to_the_bare_forward_passes(samples: list[Sample]) -> None:
    shown = [samples[0]] * 64
    arrays = np.random.default_rng(0).random((16, 3, 64, 64), dtype=np.float32)
    backbone = Backbone(width=64).eval()
    ours = extractor(backbone)
    bare = features.inference(backbone).to(memory_format=torch.channels_last)
    batch = torch.from_numpy(arrays).to(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(len(shown) // len(batch)):
                bare(batch)

    def whole() -> None:
        ours.split("train", shown, [lambda _path, index: arrays[index % 16]], lambda _: None)

    plain, passed = best([forward, whole])
    assert plain / passed >= 0.8


def test_an_epoch_on_features_costs_a_fraction_of_an_epoch_on_pictures(
    samples: list[Sample],
) -> None:
    backbone = Backbone(width=16).eval()
    kept = Features(values=torch.zeros(2, 6000, 256), labels=torch.arange(6000) % 3)
    plan = loader.epoch_batches(len(samples), 16, seed=0, epoch=0)
    heads = nn.Linear(16, 3), nn.Linear(256, 3)

    def on_pictures() -> None:
        for part in loader.batches(samples, plan, loader.augmentation(SCALE, seed=0, epoch=0), workers=1):
            with torch.no_grad():
                rows = backbone(part.pictures)
            nn.functional.cross_entropy(heads[0](rows), part.labels).backward()

    def on_features() -> None:
        for step in features.steps(kept, 16, seed=0, epoch=0, first=0):
            nn.functional.cross_entropy(heads[1](step.inputs), step.labels).backward()

    slow, fast = best([on_pictures, on_features])
    assert (slow / len(samples)) / (fast / len(kept.labels)) >= 20


def best(works: Sequence[Callable[[], None]], rounds: int = 4) -> list[float]:
    """The shortest CPU time of each, in turns, after one round to warm up."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(1 + rounds):
        for work, taken in zip(works, times, strict=True):
            started = time.process_time()
            work()
            taken.append(time.process_time() - started)
    return [min(taken[1:]) for taken in times]
