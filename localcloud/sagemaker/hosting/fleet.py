"""An endpoint's parts: instances in variants, variants in fleets, and the traffic between them."""

import itertools
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from localcloud.sagemaker.hosting.instances import Host, Instance, InstanceSpec, StartError, each_at_once
from localcloud.sagemaker.hosting.traffic import Share, choose_instance
from localcloud.sagemaker.records import Params
from localcloud.weighted import choose_variant


@dataclass(kw_only=True)
class Variant:
    """A running production variant: its instances, and which of them answers a request. Thread-safe."""

    spec: InstanceSpec
    host: Host
    share: Share
    image: str = ""
    resolved: datetime | None = None  # when `image` was looked up
    instances: list[Instance] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    changing: threading.Lock = field(default_factory=threading.Lock)  # one change of the instances at a time
    turns: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def outstanding(self) -> int:
        with self.lock:
            return sum(instance.outstanding for instance in self.instances)

    def take(self, *, avoid: Sequence[Instance] = ()) -> Instance | None:
        """Reserve the least busy instance for one request; None when none is left. `give_back` ends the reservation."""
        with self.lock:
            able = [instance for instance in self.instances if instance not in avoid]
            if not able:
                return None
            chosen = able[choose_instance([instance.outstanding for instance in able], next(self.turns))]
            chosen.outstanding += 1
            return chosen

    def give_back(self, instance: Instance) -> None:
        with self.lock:
            instance.outstanding -= 1

    def scale(self, count: int) -> None:
        """Start or drain instances until there are `count`. Raises StartError after stopping those that started."""
        with self.changing:
            missing = count - len(self.instances)
            if missing > 0:
                self._add(missing)
            elif missing < 0:
                with self.lock:
                    leaving, self.instances = self.instances[count:], self.instances[:count]
                self._drain(leaving)

    def _add(self, count: int) -> None:
        def attempt(_: int) -> Instance | StartError:
            try:
                return self.host.start(self.spec)
            except StartError as error:
                return error

        results = each_at_once(attempt, range(count))
        started = [result for result in results if isinstance(result, Instance)]
        failed = [result for result in results if isinstance(result, StartError)]
        if failed:
            self.host.stop(started)
            raise failed[0]
        with self.lock:
            self.instances.extend(started)

    def _drain(self, leaving: Sequence[Instance]) -> None:
        """Wait for the requests in progress (60 s at most: rule 30), then stop the instances."""
        until = self.host.clock() + 65
        while any(instance.outstanding for instance in leaving) and self.host.clock() < until:
            if self.host.closing.wait(0.02):
                return
        self.host.stop(leaving)

    def replace_dead(self) -> None:
        """Take instances that do not answer out of traffic and start replacements."""
        with self.changing:
            dead = [instance for instance in list(self.instances) if not self.host.alive(instance)]
            missing = self.share.count - len(self.instances) + len(dead)
            if missing <= 0 or self.host.closing.is_set():
                return
            with self.lock:
                self.instances = [instance for instance in self.instances if instance not in dead]
            self.host.stop(dead, grace=0)
            try:
                self._add(missing)
            except StartError:
                return  # the next round tries again

    def close(self) -> None:
        """Drain and stop every instance, and delete the model's files."""
        self.share = replace(self.share, count=0)
        self.scale(0)
        shutil.rmtree(self.spec.folder, ignore_errors=True)


@dataclass(kw_only=True, eq=False)
class Fleet:
    """The running variants of one endpoint configuration."""

    config: str
    variants: dict[str, Variant]

    @property
    def asynchronous(self) -> Params:
        """The AsyncInferenceConfig; empty for an endpoint that answers at once."""
        return next((dict(variant.spec.asynchronous) for variant in self.variants.values()), {})

    def close(self) -> None:
        each_at_once(Variant.close, list(self.variants.values()))


@dataclass(kw_only=True, eq=False)
class Endpoint:
    """One endpoint. During an update `green`, the new fleet, takes `green_share` of the traffic."""

    name: str
    arn: str
    config: str
    created: datetime
    modified: datetime
    status: str = "Creating"
    reason: str | None = None
    fleet: Fleet | None = None
    green: Fleet | None = None
    green_share: float = 0.0
    deployment: Params | None = None
    pending: Params | None = None
    planned: Mapping[str, Share] = field(default_factory=dict)  # the variants while the endpoint is Creating
    lock: threading.RLock = field(default_factory=threading.RLock)
    wake: threading.Event = field(default_factory=threading.Event)

    def fleet_at(self, point: float) -> Fleet | None:
        """Return the fleet for a point in [0, 1) of the traffic; None before a fleet is in service."""
        with self.lock:
            return self.green if self.green is not None and point < self.green_share else self.fleet

    def route(self, target: str | None, points: tuple[float, float]) -> Variant | None:
        """Return the variant for a request: the target, else by weights. Raises KeyError for an unknown target."""
        fleet = self.fleet_at(points[0])
        if fleet is None:
            return None
        if target is None:
            weights = {name: variant.share.weight for name, variant in fleet.variants.items()}
            target = choose_variant(weights, points[1])
        return fleet.variants[target]
