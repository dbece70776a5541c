"""The input of the quantiser."""

import numpy as np
import pytest

from train.packaging.quantise import BATCH, Calibration


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, 3 * BATCH + 5])
def test_the_quantiser_sees_every_picture_once_in_small_batches(count: int) -> None:
    pictures = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    given = Calibration(pictures)
    batches = []
    while (batch := given.get_next()) is not None:
        batches.append(batch["pictures"])
    np.testing.assert_array_equal(np.concatenate(batches), pictures)
    assert 0 < min(map(len, batches)) <= max(map(len, batches)) < 2 * BATCH
