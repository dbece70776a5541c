"""The limit up to which features stay in memory."""

from __future__ import annotations

import pytest

from train.learning import storage

GB = 1 << 30


@pytest.mark.parametrize(
    ("gigabytes", "hosts", "fits"),
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
def test_features_stay_in_memory_while_all_copies_of_a_host_use_at_most_a_quarter_of_it(
    gigabytes: float, hosts: list[tuple[int, int | None]], fits: bool
) -> None:
    assert storage.fits(int(gigabytes * GB), hosts) is fits
