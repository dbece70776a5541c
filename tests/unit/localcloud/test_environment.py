"""localcloud's environment variables: their defaults, their limits, and that the table holds all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

from localcloud import environment
from localcloud.errors import LocalcloudError
from localcloud.faults.throttle import throttle_of
from localcloud.service_quotas.limits import quotas_of

READERS: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    "KENNEL_LOCALCLOUD_MINUTE_S": environment.minute_seconds,
    "KENNEL_LOCALCLOUD_LAG_S": environment.lag_seconds,
    "KENNEL_LOCALCLOUD_IDLE_S": environment.idle_seconds,
    "KENNEL_LOCALCLOUD_THROTTLE": throttle_of,
    "KENNEL_LOCALCLOUD_QUOTAS": quotas_of,
}


@pytest.mark.parametrize(
    ("name", "default"),
    [("KENNEL_LOCALCLOUD_MINUTE_S", 60), ("KENNEL_LOCALCLOUD_LAG_S", 0), ("KENNEL_LOCALCLOUD_IDLE_S", 14 * 86400)],
)
def test_each_number_of_seconds_has_its_default(name: str, default: float) -> None:
    assert READERS[name]({}) == default
    assert READERS[name]({name: "1.5"}) == 1.5


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("KENNEL_LOCALCLOUD_MINUTE_S", ["", "fast", "0", "-1", "0.1", "61", "nan"]),
        ("KENNEL_LOCALCLOUD_LAG_S", ["", "soon", "-1", "301", "nan"]),
        ("KENNEL_LOCALCLOUD_IDLE_S", ["", "long", "0", "1209601", "nan"]),
    ],
)
def test_another_value_is_refused_with_its_name_and_limits(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(LocalcloudError, match=rf"{name}: .* is not a number of seconds from [\d.]+ to \d+"):
            READERS[name]({name: text})


@pytest.mark.parametrize("variable", environment.VARIABLES, ids=lambda each: each.name)
def test_the_example_in_the_table_is_a_value_that_is_taken(variable: environment.Variable) -> None:
    READERS[variable.name]({variable.name: variable.example})
    assert re.search(r"\w", variable.meaning)
