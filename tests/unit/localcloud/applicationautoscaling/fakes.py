"""Application Auto Scaling as its tests see it: in memory, over one scalable thing of each dimension."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.applicationautoscaling.autoscaler import Autoscaler
from localcloud.applicationautoscaling.policies import Policies
from localcloud.applicationautoscaling.records import Records, invalid
from localcloud.applicationautoscaling.scalable import Capacity, Registration, UnchangeableError
from localcloud.applicationautoscaling.targets import Targets
from localcloud.cloudwatch.alarms import State
from localcloud.cloudwatch.metrics import Store, metric, summary
from localcloud.errors import ApiError
from tests.unit.localcloud.fakes import FakeAlarms

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
TARGET = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/E/variant/A", "ScalableDimension": INSTANCES}
PER_INSTANCE = metric("AWS/SageMaker", "InvocationsPerInstance", EndpointName="E", VariantName="A")
START = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)


@dataclass
class FakeScalable:
    """A resource whose capacity is a number; `busy` while somebody changes it."""

    count: int = 1
    wanted: int = 1
    busy: bool = False
    gone: bool = False
    refusal: str = ""
    noun: str = "instance count"
    asked: list[int] = field(default_factory=list)
    known: tuple[str, ...] = ("endpoint/E/variant/A", "function:f:live")

    def check(self, wanted: Registration) -> None:
        if wanted.resource not in self.known:
            raise invalid("Could not find it.")

    def read(self, resource: str) -> Capacity | None:
        if self.gone:
            return None
        return Capacity(current=self.count, desired=self.wanted, steady=not self.busy)

    def put(self, resource: str, count: int) -> None:
        if self.refusal:
            raise UnchangeableError(self.refusal)
        self.asked.append(count)
        self.wanted, self.busy = count, True

    def finish(self) -> None:
        self.count, self.busy = self.wanted, False


@dataclass
class Fakes:
    """The operations and the autoscaler, with a clock of minutes."""

    now: datetime = START
    scalable: FakeScalable = field(default_factory=FakeScalable)

    def __post_init__(self) -> None:
        self.alarms, self.metrics = FakeAlarms(), Store(now=self.seconds)
        records = Records(arn=lambda service, place: f"arn:aws:{service}:r:a:{place}", now=lambda: self.now)
        scalables = {
            name: self.scalable
            for name in (
                INSTANCES,
                "lambda:function:ProvisionedConcurrency",
                "sagemaker:variant:DesiredProvisionedConcurrency",
            )
        }
        self.targets = Targets(
            records=records, alarms=self.alarms, scalables=scalables, role=lambda name: f"role/{name}"
        )
        self.policies = Policies(records=records, alarms=self.alarms)
        self.autoscaler = Autoscaler(
            records=records, alarms=self.alarms, metrics=self.metrics, scalables=scalables,
            next_run=self.policies.next_run,
        )  # fmt: skip

    def seconds(self) -> float:
        return self.now.timestamp()

    def do(self, operation: str, **params: Any) -> Mapping[str, Any]:
        return (self.targets.handlers() | self.policies.handlers())[operation](params)

    def refused(self, operation: str, **params: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.do(operation, **params)
        return caught.value

    def register(self, least: int = 1, most: int = 4, **more: Any) -> None:
        self.do("RegisterScalableTarget", **TARGET, MinCapacity=least, MaxCapacity=most, **more)

    def track(self, target: float = 100, **config: Any) -> Mapping[str, Any]:
        kind = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        body = {"TargetValue": target, "PredefinedMetricSpecification": kind} | config
        return self.do(
            "PutScalingPolicy", **TARGET, PolicyName="p", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=body,
        )  # fmt: skip

    def ring(self, which: str, state: State = "ALARM") -> None:
        for name, alarm in self.alarms.kept.items():
            self.alarms.kept[name] = replace(alarm, state=state if which in name else "OK")

    def measured(self, value: float) -> None:
        """One whole minute passed, with that many invocations for each instance."""
        self.metrics.put([summary(PER_INSTANCE, [value])])
        self.now += timedelta(minutes=1)
        self.look()

    def look(self) -> None:
        self.autoscaler.look(self.seconds())

    def activities(self, **params: Any) -> list[Mapping[str, Any]]:
        found = self.do("DescribeScalingActivities", ServiceNamespace="sagemaker", **params)
        return list(found["ScalingActivities"])
