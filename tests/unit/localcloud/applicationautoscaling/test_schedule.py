"""When scheduled actions run: expressions, and the next time after a Thursday noon."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from localcloud.applicationautoscaling.schedule import next_run

NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "time"),
    [
        ("at(2026-11-20T08:30:00)", at(2026, 11, 20, 8, 30)),
        ("at(2026-11-19T12:00:00)", None),
        ("rate(1 minute)", at(2026, 11, 19, 12, 1)),
        ("rate(3 hours)", at(2026, 11, 19, 15)),
        ("rate(2 days)", at(2026, 11, 21, 12)),
        ("cron(0 8 ? * MON-FRI *)", at(2026, 11, 20, 8)),
        ("cron(0/15 * * * ? *)", at(2026, 11, 19, 12, 15)),
        ("cron(*/20 9,13 * * ? *)", at(2026, 11, 19, 13)),
        ("cron(0 0 1 1 ? *)", at(2027, 1, 1)),
        ("cron(0 0 L FEB ? 2028)", at(2028, 2, 29)),
        ("cron(0 20 ? * 1 *)", at(2026, 11, 22, 20)),
        ("cron(0 0 1 1 ? 2020)", None),
    ],
)
def test_the_next_run_is_the_first_time_after_now(expression: str, time: datetime | None) -> None:
    assert next_run(expression, NOON) == time


def test_a_shorter_second_shortens_rates_only() -> None:
    assert next_run("rate(1 minute)", NOON, scale=0.1) == NOON + timedelta(seconds=6)
    assert next_run("cron(0 13 * * ? *)", NOON, scale=0.1) == at(2026, 11, 19, 13)


def test_a_time_zone_moves_cron_and_at() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert next_run("cron(0 9 * * ? *)", NOON, zone=tokyo) == at(2026, 11, 20, 0)
    assert next_run("at(2026-11-20T09:00:00)", NOON, zone=tokyo) == at(2026, 11, 20, 0)


@pytest.mark.parametrize(
    "expression",
    [
        "", "daily", "rate(0 minutes)", "rate(5 weeks)", "rate(1.5 hours)", "at(tomorrow)", "cron(0 8 * *)",
        "cron(0 8 * * * *)", "cron(60 8 * * ? *)", "cron(0 24 * * ? *)", "cron(0 8 0 * ? *)", "cron(0 8 ? * FUN *)",
        "cron(0 8 15W * ? *)", "cron(0 8 ? * 6#3 *)", "cron(0 8 * * ? *", "rate(1 minute",
    ],
)  # fmt: skip
def test_an_expression_that_aws_refuses_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        next_run(expression, NOON)
