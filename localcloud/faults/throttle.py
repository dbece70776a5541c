"""Throttling on request: a share of the requests gets its service's own throttling error, chosen by a seed."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from localcloud.environment import THROTTLE
from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway.requests import AnyCall

MOST = 0.9  # clients give up after a few tries


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """A Gate that refuses a share of the requests. Requests have numbers; share and seed say which are refused."""

    share: float = 0.0
    seed: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def refuse(self, call: AnyCall) -> ApiError | None:
        return throttled(call) if self.strikes(next(self.numbers)) else None

    def answered(self, call: AnyCall, status: int) -> None:
        """Nothing to remember."""

    def strikes(self, number: int) -> bool:
        """Whether the request of this number is refused."""
        return random.Random(f"{self.seed}:{number}").random() < self.share  # noqa: S311 (not a secret)


def throttled(call: AnyCall) -> ApiError:
    """The throttling error of a call's service (rule 98)."""
    if call.service == "s3":
        return ApiError("SlowDown", "Please reduce your request rate.", 503)
    if call.service == "ec2":
        return ApiError("RequestLimitExceeded", "Request limit exceeded.", 503)
    if call.service == "lambda":
        return ApiError(
            "TooManyRequestsException", "Rate exceeded", 429, Reason="CallerRateLimitExceeded", Type="User",
            retryAfterSeconds="1",
        )  # fmt: skip
    if call.service == "service-quotas":
        return ApiError("TooManyRequestsException", "Rate exceeded", 400)
    if call.service in ("iam", "sts", "cloudwatch"):
        return ApiError("Throttling", "Rate exceeded", 400)
    return ApiError("ThrottlingException", "Rate exceeded", 400)


def throttle_of(environ: Mapping[str, str]) -> Throttle:
    """The Throttle of KENNEL_LOCALCLOUD_THROTTLE: `SHARE` or `SHARE:SEED`. Raises LocalcloudError."""
    text = environ.get(THROTTLE.name, "0")
    share, _, seed = text.partition(":")
    try:
        made = Throttle(share=float(share), seed=int(seed or 0))
    except ValueError:
        made = Throttle(share=-1)
    if not 0 <= made.share <= MOST:
        raise LocalcloudError(f"{THROTTLE.name}: {text!r} is not SHARE or SHARE:SEED with a share from 0 to {MOST}")
    return made
