"""How many invocations of a function run at once, and the pool of execution environments that run them."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from localcloud.errors import ApiError

LOCAL_CAP = 10  # concurrent containers of a function without reserved concurrency, because this is one machine
ACCOUNT_LIMIT = 1000
MUST_STAY_UNRESERVED = 100  # rule 67
IDLE_SECONDS = 300.0


class Timed(Protocol):
    """An execution environment that knows since when it is idle (the pool's clock)."""

    idle_since: float


Environment = TypeVar("Environment", bound=Timed)


def throttled(reason: str) -> ApiError:
    """Lambda's 429."""
    return ApiError(
        "TooManyRequestsException", "Rate Exceeded.", 429, Reason=reason, Type="User", retryAfterSeconds="1"
    )


class ConcurrencyLimit:
    """Limits a function's running invocations over all its versions. Thread-safe.

    Provisioned concurrency takes its part of the reservation for its own version; what is left is for all versions.
    """

    def __init__(self, *, reserved: int | None = None) -> None:
        self._reserved = reserved
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def reserved(self) -> int | None:
        """The function's reserved concurrency; None without a reservation."""
        with self._lock:
            return self._reserved

    @reserved.setter
    def reserved(self, count: int | None) -> None:
        with self._lock:
            self._reserved = count

    def enter(self, version: str = "$LATEST", provisioned: Mapping[str, int] = MappingProxyType({})) -> None:
        """Begin an invocation of a version. `provisioned`: the provisioned concurrency of each version that has some.

        Raises ApiError 429 beyond the reserved concurrency; 0 refuses every invocation.
        """
        with self._lock:
            running = self._running + Counter({version: 1})
            if self._reserved is None and running.total() > LOCAL_CAP:
                raise throttled("ConcurrentInvocationLimitExceeded")
            if self._reserved is not None and running[version] > provisioned.get(version, 0):
                shared = sum((running - Counter(provisioned)).values())  # a Counter keeps what is above zero
                if shared > self._reserved - sum(provisioned.values()):
                    raise throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
            self._running = running

    def leave(self, version: str = "$LATEST") -> None:
        with self._lock:
            self._running[version] -= 1


@dataclass(kw_only=True)
class Pool(Generic[Environment]):
    """The environments of one version. Takes the most recently used one first; never reaps the last `floor` ones.

    Thread-safe.
    """

    start: Callable[[], Environment]
    end: Callable[[Environment], None]
    clock: Callable[[], float]
    floor: int = 0
    idle: list[Environment] = field(default_factory=list)
    busy: list[Environment] = field(default_factory=list)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Environment:
        """An idle environment, or a new one. Raises the errors of `start`."""
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
        """Make an environment idle again. Ends it when it is not usable or the pool was closed."""
        environment.idle_since = self.clock()
        with self.lock:
            self.busy.remove(environment)
            keep = usable and not self.closed
            if keep:
                self.idle.append(environment)
        if not keep:
            self.end(environment)

    def keep(self, count: int) -> None:
        """Keep at least `count` environments from now on. `fill` starts the missing ones."""
        with self.lock:
            self.floor = count

    def fill(self) -> None:
        """Start environments until the pool has those that it keeps. Raises the errors of `start`.

        Ends one that is not needed any more once it runs, because the pool was lowered or closed meanwhile.
        """
        while self._lacks():
            environment = self.start()
            environment.idle_since = self.clock()
            with self.lock:
                is_needed = self._lacks_now()
                if is_needed:
                    self.idle.append(environment)
            if not is_needed:
                self.end(environment)

    def _lacks(self) -> bool:
        with self.lock:
            return self._lacks_now()

    def _lacks_now(self) -> bool:
        """Whether environments are missing. The caller holds the lock."""
        return not self.closed and len(self.idle) + len(self.busy) < self.floor

    def lower(self, count: int) -> None:
        """Keep only `count` environments warm from now on, and end idle ones beyond them."""
        with self.lock:
            self.floor = count
            spare = max(0, len(self.idle) + len(self.busy) - count)
            leaving, self.idle = self.idle[:spare], self.idle[spare:]
        for environment in leaving:
            self.end(environment)

    def reap(self) -> None:
        """End environments that have been idle for too long, the oldest first, down to the floor."""
        with self.lock:
            old = [e for e in self.idle if self.clock() - e.idle_since > IDLE_SECONDS]
            spare = max(0, len(self.idle) + len(self.busy) - self.floor)
            leaving = old[:spare]
            self.idle = [e for e in self.idle if e not in leaving]
        for environment in leaving:
            self.end(environment)

    def close(self) -> None:
        """End the idle environments now, and the busy ones when they are given back."""
        with self.lock:
            self.closed = True
            leaving, self.idle = self.idle, []
        for environment in leaving:
            self.end(environment)
