"""When features are few enough for memory."""

from __future__ import annotations

import pytest

from train.learning import storage

GB = 1 << 30


@pytest.mark.parametrize(
    ("gigabytes", "told", "fits"),
    [
        (4, [(0, 16 * GB)], True),
        (4.01, [(0, 16 * GB)], False),
        (4, [(0, 16 * GB), (0, 16 * GB)], False),  # two ranks of one host: two copies
        (2, [(0, 16 * GB), (0, 16 * GB)], True),
        (4, [(0, 16 * GB), (1, 16 * GB)], True),  # a host each
        (4, [(0, 16 * GB), (1, 8 * GB)], False),  # all do what the smallest host must
        (4, [(0, None), (0, None)], True),
    ],
)
def test_features_stay_in_memory_while_the_copies_of_a_host_are_a_quarter_of_it(
    gigabytes: float, told: list[tuple[int, int | None]], fits: bool
) -> None:
    assert storage.fits(int(gigabytes * GB), told) is fits
