"""Makes batches of samples: decodes in threads, augments, and divides an epoch's pictures among ranks.

Uses threads instead of processes because Pillow decodes without the GIL. Threads need no /dev/shm (64 MB on SageMaker,
rule 22) and no pickling. A picture's augmentation depends only on (seed, epoch, index), not on the number of ranks or
workers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from contract.preprocess import FloatArray, PictureError, Preprocessing, open_picture, to_array
from train.pictures.index import DataError, Sample

SCALE = (0.35, 1.0)  # share of the picture's area that a random crop keeps
ASPECT = (3 / 4, 4 / 3)
AHEAD = 2  # batches that are decoded in advance

Transform = Callable[[Path, int], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`pictures` float32 (N, 3, crop, crop), `labels` int64 (N,); `index` numbers the samples in their split."""

    pictures: torch.Tensor
    labels: torch.Tensor
    index: tuple[int, ...]


def evaluation(preprocessing: Preprocessing, *, mirrored: bool = False) -> Transform:
    """The same transform as in serving, bit for bit. `mirrored` flips the result."""

    def transform(path: Path, _index: int) -> FloatArray:
        array = to_array(_open(path, preprocessing.resize), preprocessing)
        return np.ascontiguousarray(array[:, :, ::-1]) if mirrored else array

    return transform


def augmentation(preprocessing: Preprocessing, *, seed: int, epoch: int) -> Transform:
    """A random crop, resized, and mirrored with probability 1/2."""
    exact = Preprocessing(
        resize=preprocessing.crop, crop=preprocessing.crop, mean=preprocessing.mean, std=preprocessing.std
    )

    def transform(path: Path, index: int) -> FloatArray:
        random = np.random.default_rng((seed, epoch, index))
        share = float(random.uniform(*SCALE))
        aspect = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        image = _open(path, side_for_crop(preprocessing.crop, share, aspect))
        box = random_box(image.size, share, aspect, random)
        side = (preprocessing.crop, preprocessing.crop)
        image = image.resize(side, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return to_array(image, exact)

    return transform


def side_for_crop(crop: int, share: float, aspect: float) -> int:
    """The least shorter side of a picture so that a box of this share and aspect has at least `crop` pixels a side."""
    return math.ceil(crop / math.sqrt(share * min(aspect, 1 / aspect)))


def random_box(
    size: tuple[int, int], share: float, aspect: float, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a random box in `size`: about `share` of its area, `aspect` is width/height."""
    width, height = size
    wide = min(width, math.sqrt(width * height * share * aspect))
    high = min(height, math.sqrt(width * height * share / aspect))
    left, top = random.uniform(0, width - wide), random.uniform(0, height - high)
    return (left, top, min(width, left + wide), min(height, top + high))


def epoch_batches(count: int, batch_size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """The global batches of an epoch: each of `count` samples once, shuffled by (seed, epoch).

    Batch sizes differ by at most one, so that no step has only a remainder of one or two pictures.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    return [part.tolist() for part in np.array_split(order, max(1, math.ceil(count / batch_size)))]


def share_of(batch: Sequence[int], rank: int, world_size: int) -> list[int]:
    """This rank's part of a global batch. The parts are disjoint and together the whole batch."""
    return list(batch[rank::world_size])


def check_batches(count: int, batch_size: int, world_size: int) -> None:
    """Raises DataError if a rank would get fewer than two pictures in a step: BatchNorm needs two."""
    smallest = count // max(1, math.ceil(count / batch_size))
    if smallest < 2 * world_size:
        raise DataError(
            f"a step of {smallest} pictures is too small for {world_size} ranks, which need 2 each: "
            "raise batch_size, add training pictures or use fewer ranks"
        )


def batches(
    samples: Sequence[Sample], plan: Sequence[Sequence[int]], transform: Transform, *, workers: int
) -> Iterator[Batch]:
    """The batches of `plan` (indices into `samples`), in order. `workers` threads decode them in advance.

    Raises DataError, naming the file, for a picture that has become unreadable.
    """
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="decode") as pool:
        waiting: deque[tuple[Sequence[int], list[Future[FloatArray]]]] = deque()
        try:
            for indices in plan:
                waiting.append((indices, [pool.submit(transform, samples[i].path, i) for i in indices]))
                if len(waiting) > AHEAD:
                    yield _collect(samples, *waiting.popleft())
            while waiting:
                yield _collect(samples, *waiting.popleft())
        finally:  # the caller may stop early
            pool.shutdown(wait=True, cancel_futures=True)


def _collect(samples: Sequence[Sample], indices: Sequence[int], futures: Sequence[Future[FloatArray]]) -> Batch:
    pictures: Any = np.stack([future.result() for future in futures])
    return Batch(
        pictures=torch.from_numpy(pictures),
        labels=torch.tensor([samples[i].label for i in indices], dtype=torch.int64),
        index=tuple(indices),
    )


def _open(path: Path, shorter_side: int) -> Image.Image:
    try:
        return open_picture(path.read_bytes(), shorter_side=shorter_side)
    except (PictureError, OSError) as error:
        raise DataError(f"{path}: was readable when the data was scanned, but is not any more: {error}") from error
