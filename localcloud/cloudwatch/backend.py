"""CloudWatch behind localcloud's port: moto's records in this process, which alarms are evaluated from for real."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from moto.cloudwatch.models import MetricAggregatedDatum, cloudwatch_backends

from localcloud.cloudwatch.alarms import Alarm, State
from localcloud.cloudwatch.metrics import KEPT_SECONDS, Datum, Metric, Source, Store


@dataclass(kw_only=True)
class CloudWatch:
    """Metrics and alarms. What is put here is seen by every CloudWatch client, and what clients put is seen here."""

    account: str
    region: str
    now: Callable[[], datetime]
    store: Store = field(init=False)
    _read: int = 0  # how many of moto's data the store holds
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.store = Store(now=lambda: self.now().timestamp())

    @property
    def _backend(self) -> Any:
        return cloudwatch_backends[self.account][self.region]

    # ------------------------------------------------------------------------------------------ metrics

    def add_source(self, source: Source) -> None:
        self.store.add_source(source)

    def collect(self) -> None:
        self.put(self.store.read_sources())

    def put(self, data: Iterable[Datum]) -> None:
        at = self.now().astimezone(UTC).replace(tzinfo=None)  # moto's own times are naive UTC
        by_namespace: dict[str, list[dict[str, Any]]] = {}
        for datum in data:
            by_namespace.setdefault(datum.metric.namespace, []).append(_entry(datum, at))
        for namespace, entries in by_namespace.items():
            self._backend.put_metric_data(namespace, entries)
        self._catch_up()

    def series(self, metric: Metric, statistic: str, period: float, count: int, end: float) -> list[float | None]:
        self._catch_up()
        return self.store.series(metric, statistic, period, count, end)

    def _catch_up(self) -> None:
        """Take over what was put into moto since the last time, by whomever."""
        with self._lock:
            held: list[Any] = self._backend.metric_data
            self._read = self._read if self._read <= len(held) else 0  # moto was reset
            fresh, self._read = held[self._read :], len(held)
            for datum in fresh:
                self.store.add(_datum(datum), _utc(datum.timestamp))
            self._read -= self._forget(held)

    def _forget(self, held: list[Any]) -> int:
        """Drop what is older than any alarm looks back: moto itself keeps all for ever. Returns how many."""
        oldest = self.now().timestamp() - KEPT_SECONDS
        old = next((at for at, datum in enumerate(held) if _utc(datum.timestamp) >= oldest), len(held))
        del held[:old]
        return old

    # ------------------------------------------------------------------------------------------ alarms

    def alarms(self) -> list[Alarm]:
        found = list(self._backend.alarms.values())
        # Composite alarms and metric maths keep the state that they were given.
        return [_alarm(each) for each in found if each.rule is None and each.metric_name]

    def set_state(self, name: str, state: State, reason: str) -> None:
        found = self._backend.alarms.get(name)
        if found is not None:
            found.update_state(reason, "{}", state)

    def put_alarm(self, alarm: Alarm, *, description: str) -> str:
        made = self._backend.put_metric_alarm(
            name=alarm.name, namespace=alarm.metric.namespace, metric_name=alarm.metric.name,
            comparison_operator=alarm.comparison, evaluation_periods=alarm.evaluation_periods,
            datapoints_to_alarm=alarm.datapoints_to_alarm, period=int(alarm.period), threshold=alarm.threshold,
            statistic=alarm.statistic, description=description, alarm_actions=list(alarm.actions),
            dimensions=[{"Name": name, "Value": value} for name, value in alarm.metric.dimensions],
            treat_missing_data=alarm.missing,
        )  # fmt: skip
        made.state_value = alarm.state
        return str(made.alarm_arn)

    def delete_alarms(self, names: Iterable[str]) -> None:
        self._backend.delete_alarms(list(names))


def _entry(datum: Datum, at: datetime) -> dict[str, Any]:
    """A datum as PutMetricData takes it."""
    return {
        "MetricName": datum.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.metric.dimensions],
        "Timestamp": at,
        "Unit": datum.unit,
        "StatisticValues": {
            "SampleCount": datum.count, "Sum": datum.total, "Minimum": datum.least, "Maximum": datum.most,
        },
    }  # fmt: skip


def _datum(found: Any) -> Datum:
    """moto's record of a value or of a set of them."""
    metric = Metric(
        namespace=found.namespace,
        name=found.name,
        dimensions=tuple(sorted((each.name, each.value) for each in found.dimensions)),
    )
    if isinstance(found, MetricAggregatedDatum):
        return Datum(metric=metric, count=found.sample_count, total=found.sum, least=found.min, most=found.max)
    return Datum(metric=metric, count=1, total=found.value, least=found.value, most=found.value)


def _alarm(found: Any) -> Alarm:
    periods = int(found.evaluation_periods or 1)
    return Alarm(
        name=found.name,
        metric=Metric(
            namespace=found.namespace,
            name=found.metric_name,
            dimensions=tuple(sorted((each.name, each.value) for each in found.dimensions)),
        ),
        statistic=found.statistic or found.extended_statistic or "Average",
        period=float(found.period or 60),
        comparison=found.comparison_operator,
        threshold=float(found.threshold or 0),
        evaluation_periods=periods,
        datapoints_to_alarm=int(found.datapoints_to_alarm or periods),
        missing=found.treat_missing_data or "missing",
        actions=tuple(found.alarm_actions or ()) if found.actions_enabled else (),
        state=cast("State", found.state_value),
        changed=_utc(found.state_updated_timestamp),
    )


def _utc(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
