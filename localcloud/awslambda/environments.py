"""How many invocations of a function run at once, and the execution environments that they run in."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from localcloud.errors import ApiError

LOCAL_CAP = 10  # containers for one function that reserves nothing: this is one machine
ACCOUNT_LIMIT = 1000
MUST_STAY_UNRESERVED = 100  # rule 67
IDLE_SECONDS = 300.0


class Timed(Protocol):
    """An execution environment, as far as a pool cares."""

    idle_since: float


Environment = TypeVar("Environment", bound=Timed)


def throttled(reason: str) -> ApiError:
    """Return Lambda's 429."""
    return ApiError(
        "TooManyRequestsException", "Rate Exceeded.", 429, Reason=reason, Type="User", retryAfterSeconds="1"
    )


@dataclass(kw_only=True)
class ConcurrencyLimit:
    """Counts a function's running invocations over all its versions. `reserved` None means unreserved."""

    reserved: int | None = None
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> None:
        """Begin an invocation. Raises ApiError 429 beyond the reserved concurrency; 0 refuses all."""
        with self.lock:
            limit = LOCAL_CAP if self.reserved is None else self.reserved
            if self.running >= limit:
                reserved = self.reserved is not None
                raise throttled(
                    "ReservedFunctionConcurrentInvocationLimitExceeded"
                    if reserved
                    else "ConcurrentInvocationLimitExceeded"
                )
            self.running += 1

    def leave(self) -> None:
        with self.lock:
            self.running -= 1


@dataclass(kw_only=True)
class Pool(Generic[Environment]):
    """The environments of one version. The last used is used first again; `floor` of them are never reaped."""

    start: Callable[[], Environment]
    end: Callable[[Environment], None]
    clock: Callable[[], float]
    floor: int = 0
    idle: list[Environment] = field(default_factory=list)
    busy: list[Environment] = field(default_factory=list)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Environment:
        """Return an idle environment, or a new one. Raises what `start` raises."""
        with self.lock:
            if self.idle:
                environment = self.idle.pop()
                self.busy.append(environment)
                return environment
        environment = self.start()
        with self.lock:
            self.busy.append(environment)
        return environment

    def give_back(self, environment: Environment, *, usable: bool = True) -> None:
        """Make it idle, or end it when it broke or the pool was closed meanwhile."""
        environment.idle_since = self.clock()
        with self.lock:
            self.busy.remove(environment)
            keep = usable and not self.closed
            if keep:
                self.idle.append(environment)
        if not keep:
            self.end(environment)

    def warm(self, count: int) -> None:
        """Keep at least `count` environments from now on, starting what lacks."""
        self.floor = count
        while True:
            with self.lock:
                if self.closed or len(self.idle) + len(self.busy) >= count:
                    return
            environment = self.start()
            environment.idle_since = self.clock()
            with self.lock:
                self.idle.append(environment)

    def lower(self, count: int) -> None:
        """Keep only `count` environments warm from now on; idle ones beyond them end at once."""
        with self.lock:
            self.floor = count
            spare = max(0, len(self.idle) + len(self.busy) - count)
            leaving, self.idle = self.idle[:spare], self.idle[spare:]
        for environment in leaving:
            self.end(environment)

    def reap(self) -> None:
        """End environments that were idle for too long, the oldest first, down to the floor."""
        with self.lock:
            old = [e for e in self.idle if self.clock() - e.idle_since > IDLE_SECONDS]
            spare = max(0, len(self.idle) + len(self.busy) - self.floor)
            leaving = old[:spare]
            self.idle = [e for e in self.idle if e not in leaving]
        for environment in leaving:
            self.end(environment)

    def close(self) -> None:
        """End the idle ones now, and the busy ones when they are given back."""
        with self.lock:
            self.closed = True
            leaving, self.idle = self.idle, []
        for environment in leaving:
            self.end(environment)
