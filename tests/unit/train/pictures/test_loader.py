"""The order of pictures, and their division among ranks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from train.learning import evaluate
from train.learning.distributed import Ranks
from train.pictures import loader
from train.pictures.index import DataError

SIZES = [(1, 1), (7, 3), (32, 32), (33, 32), (621, 32), (675, 64)]


@pytest.mark.parametrize(("count", "batch"), SIZES)
def test_an_epoch_shows_every_picture_once_in_batches_that_differ_by_one_at_most(count: int, batch: int) -> None:
    plan = loader.epoch_batches(count, batch, seed=3, epoch=1)
    assert sorted(index for part in plan for index in part) == list(range(count))
    sizes = {len(part) for part in plan}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    plan = loader.epoch_batches(50, 8, seed=3, epoch=1)
    assert plan == loader.epoch_batches(50, 8, seed=3, epoch=1)
    assert plan != loader.epoch_batches(50, 8, seed=3, epoch=2)
    assert plan != loader.epoch_batches(50, 8, seed=4, epoch=1)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize(("count", "batch"), SIZES)
def test_ranks_share_each_batch_without_overlap_or_loss(count: int, batch: int, world_size: int) -> None:
    for whole in loader.epoch_batches(count, batch, seed=0, epoch=0):
        shares = [loader.share_of(whole, rank, world_size) for rank in range(world_size)]
        assert sorted(index for share in shares for index in share) == sorted(whole)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 6, 64, 111])
def test_validation_counts_each_picture_once_whatever_the_number_of_ranks(count: int, world_size: int) -> None:
    plans = [evaluate.plan(count, 8, Ranks(rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert sorted(index for plan in plans for part in plan for index in part) == list(range(count))


def test_a_step_too_small_for_its_ranks_is_refused_with_the_fix() -> None:
    loader.check_batches(100, 4, 2)
    with pytest.raises(DataError, match="raise batch_size"):
        loader.check_batches(100, 4, 3)
    with pytest.raises(DataError, match="3 pictures"):
        loader.check_batches(3, 32, 2)


@pytest.mark.parametrize("size", [(640, 480), (3, 900), (1, 1), (7000, 5000)])
def test_random_crops_lie_within_the_picture(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        share, aspect = float(random.uniform(*loader.SCALE)), float(random.uniform(*loader.ASPECT))
        left, top, right, bottom = loader.random_box(size, share, aspect, random)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


@pytest.mark.parametrize("ratio", [1.0, 1.5, 0.4])
def test_a_crop_of_the_smallest_decoded_picture_has_at_least_the_pixels_of_the_input(ratio: float) -> None:
    random = np.random.default_rng(0)
    for share, aspect in itertools.product(loader.SCALE, (loader.ASPECT[0], 1.0, loader.ASPECT[1])):
        side = loader.side_for_crop(224, share, aspect)
        size = (round(side * max(1, ratio)), round(side / min(1, ratio)))
        left, top, right, bottom = loader.random_box(size, share, aspect, random)
        assert min(right - left, bottom - top) > 223.999
        assert ratio != 1.0 or side < 224 / (share * 3 / 4) ** 0.5 + 1
