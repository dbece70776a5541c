"""Application Auto Scaling in memory, with one scalable resource for all dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.applicationautoscaling.autoscaler import Autoscaler
from localcloud.applicationautoscaling.policies import Policies
from localcloud.applicationautoscaling.records import Records, invalid
from localcloud.applicationautoscaling.scalable import Capacity, ChangeRefusedError, Registration
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
    """A resource whose capacity is a number. `busy`: it is being changed; `changes`: the counts that were put."""

    count: int = 1
    desired: int = 1
    busy: bool = False
    gone: bool = False
    refusal: str = ""
    noun: str = "instance count"
    changes: list[int] = field(default_factory=list)
    known: tuple[str, ...] = ("endpoint/E/variant/A", "function:f:live")

    def check(self, registration: Registration) -> None:
        if registration.resource not in self.known:
            raise invalid("Could not find it.")

    def read(self, resource: str) -> Capacity | None:
        if self.gone:
            return None
        return Capacity(current=self.count, desired=self.desired, steady=not self.busy)

    def put(self, resource: str, count: int) -> None:
        if self.refusal:
            raise ChangeRefusedError(self.refusal)
        self.changes.append(count)
        self.desired, self.busy = count, True

    def finish(self) -> None:
        self.count, self.busy = self.desired, False


@dataclass
class Fakes:
    """The operations and the autoscaler, with a clock that tests set."""

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

    def register(self, minimum: int = 1, maximum: int = 4, **more: Any) -> None:
        self.do("RegisterScalableTarget", **TARGET, MinCapacity=minimum, MaxCapacity=maximum, **more)

    def track(self, target: float = 100, **config: Any) -> Mapping[str, Any]:
        kind = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        body = {"TargetValue": target, "PredefinedMetricSpecification": kind} | config
        return self.do(
            "PutScalingPolicy", **TARGET, PolicyName="p", PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=body,
        )  # fmt: skip

    def set_alarm(self, part: str, state: State = "ALARM") -> None:
        """Put the alarms whose names contain `part` into a state, and all others into OK."""
        for name, alarm in self.alarms.kept.items():
            self.alarms.kept[name] = replace(alarm, state=state if part in name else "OK")

    def minute(self, value: float) -> None:
        """Let a minute pass with `value` invocations for each instance."""
        self.metrics.put([summary(PER_INSTANCE, [value])])
        self.now += timedelta(minutes=1)
        self.tick()

    def tick(self) -> None:
        self.autoscaler.tick(self.seconds())

    def activities(self, **params: Any) -> list[Mapping[str, Any]]:
        answer = self.do("DescribeScalingActivities", ServiceNamespace="sagemaker", **params)
        return list(answer["ScalingActivities"])
