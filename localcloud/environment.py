"""Settings of localcloud in environment variables: which there are, and how numbers among them are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.errors import LocalcloudError


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One environment variable, in words for people. `example` is a value that it takes."""

    name: str
    values: str
    default: str
    meaning: str
    example: str


MINUTE = Variable(
    name="KENNEL_LOCALCLOUD_MINUTE_S",
    values="seconds, 0.5 to 60",
    default="60",
    meaning="how long a minute of CloudWatch's alarms and of autoscaling lasts",
    example="2",
)
QUOTAS = Variable(
    name="KENNEL_LOCALCLOUD_QUOTAS",
    values="`new-account`, or a JSON file: quota's name → number",
    default="no limits",
    meaning="quotas that are enforced; a file holds those that differ from a new account's",
    example="new-account",
)
LAG = Variable(
    name="KENNEL_LOCALCLOUD_LAG_S",
    values="seconds, 0 to 300",
    default="0",
    meaning="how long other services do not see a new role, instance profile, policy, bucket, log group or endpoint "
    "configuration",
    example="15",
)
IDLE = Variable(
    name="KENNEL_LOCALCLOUD_IDLE_S",
    values="seconds, 1 to 1,209,600",
    default="1209600 (14 days)",
    meaning="how long nobody invokes a function's version before it becomes Inactive",
    example="60",
)
THROTTLE = Variable(
    name="KENNEL_LOCALCLOUD_THROTTLE",
    values="share of requests, 0 to 0.9, or `SHARE:SEED`",
    default="0",
    meaning="how many requests each service refuses with its own throttling error; the same seed refuses the same "
    "requests",
    example="0.05:7",
)
FOURTEEN_DAYS = 14 * 86400.0
VARIABLES = (MINUTE, LAG, IDLE, THROTTLE, QUOTAS)


def seconds(environ: Mapping[str, str], variable: str, *, default: float, minimum: float, maximum: float) -> float:
    """A variable's number of seconds. Raises LocalcloudError for anything outside minimum to maximum."""
    text = environ.get(variable, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not minimum <= value <= maximum:
        raise LocalcloudError(f"{variable}: {text!r} is not a number of seconds from {minimum:g} to {maximum:g}")
    return value


def minute_seconds(environ: Mapping[str, str]) -> float:
    """How many seconds a minute of CloudWatch lasts: 60 by default, at least 0.5.

    Alarm periods, cooldowns and rate() schedules shrink with it, so that tests scale in seconds, not minutes. Raises
    LocalcloudError.
    """
    return seconds(environ, MINUTE.name, default=60, minimum=0.5, maximum=60)


def lag_seconds(environ: Mapping[str, str]) -> float:
    """How long a new resource stays unseen: 0 by default. Raises LocalcloudError."""
    return seconds(environ, LAG.name, default=0, minimum=0, maximum=300)


def idle_seconds(environ: Mapping[str, str]) -> float:
    """How long until an idle version of a function becomes Inactive: 14 days by default. Raises LocalcloudError."""
    return seconds(environ, IDLE.name, default=FOURTEEN_DAYS, minimum=1, maximum=FOURTEEN_DAYS)
