"""KENNEL_LOCALCLOUD_MINUTE_S: how long a minute of CloudWatch lasts."""

import pytest

from localcloud.__main__ import minute_seconds
from localcloud.errors import LocalcloudError


@pytest.mark.parametrize(("environ", "seconds"), [({}, 60.0), ({"KENNEL_LOCALCLOUD_MINUTE_S": "0.5"}, 0.5)])
def test_a_minute_is_sixty_seconds_by_default(environ: dict[str, str], seconds: float) -> None:
    assert minute_seconds(environ) == seconds


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "0.1", "61", "nan"])
def test_an_invalid_length_of_a_minute_is_refused(text: str) -> None:
    with pytest.raises(LocalcloudError, match=r"MINUTE_S: .* is not a number of seconds from 0\.5 to 60"):
        minute_seconds({"KENNEL_LOCALCLOUD_MINUTE_S": text})
