"""Decoding: same bits as in serving, same augmentation for any number of workers, huge and broken pictures."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.preprocess import Preprocessing, open_picture, to_array
from tests.functional.train import ranks
from train.pictures import loader
from train.pictures.index import DataError, Sample

SMALL = Preprocessing(resize=40, crop=32)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = ranks.pictures(tmp_path_factory.mktemp("pictures")) / "train"
    return [Sample(path=path, label=number % 3) for number, path in enumerate(sorted(folder.rglob("*.jpg")))]


def test_evaluation_prepares_pictures_bit_for_bit_as_serving(samples: list[Sample]) -> None:
    plan = [[3, 1], [20]]
    found = list(loader.batches(samples, plan, loader.evaluation(SMALL), workers=2))
    assert [batch.index for batch in found] == [(3, 1), (20,)]
    for batch in found:
        for row, number in enumerate(batch.index):
            served = to_array(open_picture(samples[number].path.read_bytes(), shorter_side=SMALL.resize), SMALL)
            assert batch.pictures[row].numpy().tobytes() == served.tobytes()
            assert batch.labels[row] == samples[number].label


def test_a_mirrored_view_is_the_other_one_mirrored(samples: list[Sample]) -> None:
    plain, mirrored = (loader.evaluation(SMALL, mirrored=flag)(samples[0].path, 0) for flag in (False, True))
    assert np.array_equal(plain, mirrored[:, :, ::-1])
    assert not np.array_equal(plain, mirrored)


@pytest.mark.parametrize("workers", [1, 3])
def test_augmentation_depends_on_seed_epoch_and_picture_alone(workers: int, samples: list[Sample]) -> None:
    def seen(epoch: int, plan: list[list[int]], threads: int) -> dict[int, torch.Tensor]:
        transform = loader.augmentation(SMALL, seed=1, epoch=epoch)
        found = loader.batches(samples, plan, transform, workers=threads)
        return {number: batch.pictures[row] for batch in found for row, number in enumerate(batch.index)}

    whole, other = seen(0, [[0, 1, 2, 3]], 2), seen(0, [[3, 0], [2], [1]], workers)
    assert all(torch.equal(whole[number], other[number]) for number in range(4))
    assert not torch.equal(whole[0], seen(1, [[0]], 1)[0])
    assert whole[0].shape == (3, 32, 32)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 7000×5000 pixels: 105 MB when decoded whole."""
    path = tmp_path_factory.mktemp("huge") / "huge.jpg"
    Image.radial_gradient("L").resize((7000, 5000)).convert("RGB").save(path, quality=70)
    return path


def test_a_picture_of_7000_pixels_is_never_completely_in_memory(huge: Path, tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    assert ranks.finish([ranks.start(see_twice, huge, grown)]) == [0]
    assert float(grown.read_text(encoding="utf-8")) < 64


def see_twice(path: Path, grown: Path) -> None:
    """Records by how many MB this (new) process grows when it decodes a huge picture."""
    transforms = (loader.evaluation(Preprocessing()), loader.augmentation(Preprocessing(), seed=0, epoch=0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for transform in transforms:
        (batch,) = loader.batches([Sample(path=path, label=0)], [[0]], transform, workers=1)
        if batch.pictures.shape != (1, 3, 224, 224) or not torch.isfinite(batch.pictures).all():
            raise ValueError(f"not what a network sees: {batch.pictures.shape}")
    grown.write_text(str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024), encoding="utf-8")


def test_a_crop_uses_the_smallest_decoder_scale_that_has_all_its_pixels(tmp_path: Path) -> None:
    """A JPEG of 600 pixels can be decoded at 300; a PNG of the same pixels is always decoded whole."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    jpeg, png = tmp_path / "picture.jpg", tmp_path / "picture.png"
    Image.fromarray(noise).save(jpeg, quality=90)
    Image.open(jpeg).save(png)
    transform = loader.augmentation(Preprocessing(), seed=0, epoch=0)
    wholes = []
    for number in range(24):
        random = np.random.default_rng((0, 0, number))
        share, aspect = random.uniform(*loader.SCALE), np.exp(random.uniform(*np.log(loader.ASPECT)))
        wholes.append(loader.side_for_crop(224, share, aspect) > 300)
        assert np.array_equal(transform(jpeg, number), transform(png, number)) == wholes[-1]
    assert {True, False} == set(wholes)


def test_a_picture_that_became_unreadable_after_the_scan_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8 no more")
    missing = Sample(path=tmp_path / "gone.jpg", label=0)
    for sample in (Sample(path=path, label=0), missing):
        with pytest.raises(DataError, match=sample.path.name):
            list(loader.batches([sample], [[0]], loader.evaluation(SMALL), workers=1))


def test_an_early_exit_ends_the_threads(samples: list[Sample]) -> None:
    found = loader.batches(samples, [[number] for number in range(20)], loader.evaluation(SMALL), workers=2)
    next(found)
    found.close()  # type: ignore[attr-defined]
    import threading

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_nothing_is_written_beside_the_pictures_or_into_shared_memory(tmp_path: Path) -> None:
    folder = ranks.pictures(tmp_path / "data", train=2)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    shared = {path.name for path in Path("/dev/shm").iterdir()}
    files = [Sample(path=path, label=0) for path in folder.rglob("*.jpg")]
    batches = loader.batches(files, [list(range(len(files)))] * 3, loader.evaluation(SMALL), workers=4)
    assert sum(len(batch.index) for batch in batches) == 3 * len(files)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    ours = {path.name for path in Path("/dev/shm").iterdir()} - shared
    assert not [name for name in ours if name.startswith("torch_")]
