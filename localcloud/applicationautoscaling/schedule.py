"""When a scheduled action runs: at(), rate() and cron() of Application Auto Scaling (rule 49). Pure."""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

FORMS = "at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(fields)"
MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
YEARS_AHEAD = 5
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Cron:
    """The six fields as sets of numbers. A day is 1 to 31, a weekday 1 (Sunday) to 7; None means `?` or `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int] | None

    def on(self, day: date) -> bool:
        """Whether the expression matches a day."""
        weekday = day.isoweekday() % 7 + 1
        is_last = day.day == calendar.monthrange(day.year, day.month)[1]
        return (
            (self.years is None or day.year in self.years)
            and day.month in self.months
            and (self.weekdays is None or weekday in self.weekdays)
            and (self.days is None or day.day in self.days or (self.last_day and is_last))
        )


def next_run(expression: str, after: datetime, *, zone: tzinfo = UTC, scale: float = 1.0) -> datetime | None:
    """The first time later than `after` (aware); None when there is none.

    `scale`: how many real seconds a second of rate() lasts. Raises ValueError for an expression that AWS refuses.
    """
    kind, _, inside = expression.rstrip(")").partition("(")
    if kind == "at" and expression.endswith(")"):
        moment = datetime.fromisoformat(inside).replace(tzinfo=zone)
        return moment if moment > after else None
    if kind == "rate" and expression.endswith(")"):
        return after + timedelta(seconds=_rate(inside) * scale)
    if kind == "cron" and expression.endswith(")"):
        return _next(cron(inside), after.astimezone(zone))
    raise ValueError(f"the schedule must be {FORMS}")


def _rate(inside: str) -> int:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", inside)
    if match is None:
        raise ValueError("a rate is a positive whole number of minutes, hours or days")
    return int(match[1]) * UNITS[match[2]]


def cron(fields: str) -> Cron:
    """Parses "Minutes Hours Day-of-month Month Day-of-week Year". Raises ValueError."""
    parts = fields.upper().split()
    if len(parts) != 6:
        raise ValueError("a cron expression has six fields: minutes hours day-of-month month day-of-week year")
    minutes, hours, days, months, weekdays, years = parts
    if "?" not in (days, weekdays):
        raise ValueError("one of day-of-month and day-of-week must be '?'")
    if any(re.search(r"[#W]|.L|L.", field.replace("WED", "")) for field in (days, weekdays)):
        raise ValueError("localcloud does not support W, # and nL in a cron expression")
    return Cron(
        minutes=_numbers(minutes, 0, 59),
        hours=_numbers(hours, 0, 23),
        days=None if days in "?*" else frozenset() if days == "L" else _numbers(days, 1, 31),
        last_day=days == "L",
        months=_numbers(months, 1, 12, MONTHS),
        weekdays=None if weekdays in "?*" else _numbers(weekdays.replace("L", "7"), 1, 7, DAYS),
        years=None if years == "*" else _numbers(years, 1970, 2199),
    )


def _numbers(field: str, minimum: int, maximum: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """ "1-5", "*/10", "MON,WED" as numbers. Raises ValueError for numbers outside minimum to maximum."""
    numbers: set[int] = set()
    for piece in field.split(","):
        span, _, step = piece.partition("/")
        first, _, last = span.partition("-")
        begin = minimum if first == "*" else _number(first, names)
        end = _number(last, names) if last else (maximum if first == "*" or step else begin)
        numbers.update(range(begin, end + 1, int(step or 1)))
    if not numbers or min(numbers) < minimum or max(numbers) > maximum:
        raise ValueError(f"{field!r} is not within {minimum} to {maximum}")
    return frozenset(numbers)


def _number(text: str, names: dict[str, int] | None) -> int:
    return (names or {}).get(text) or int(text)


def _next(when: Cron, after: datetime) -> datetime | None:
    for ahead in range(YEARS_AHEAD * 366):
        day = after.date() + timedelta(days=ahead)
        if not when.on(day):
            continue
        for hour in sorted(when.hours):
            for minute in sorted(when.minutes):
                moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=after.tzinfo)
                if moment > after:
                    return moment
    return None
