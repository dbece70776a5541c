"""CloudWatch's metrics and alarms. moto keeps the records in this process; localcloud evaluates the alarms on them."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, cast

from moto.cloudwatch.models import MetricAggregatedDatum, cloudwatch_backends

from localcloud.cloudwatch.alarms import Alarm, State
from localcloud.cloudwatch.metrics import KEPT_SECONDS, Datum, Metric, Source, Store

_UNCHECKED = "Unchecked: Initial alarm creation"


class CloudWatch:
    """Metrics and alarms of one account and region, shared with every CloudWatch client. Thread-safe.

    Clients read what localcloud puts here, and alarms are evaluated on what clients put.
    """

    def __init__(self, *, account: str, region: str, now: Callable[[], datetime]) -> None:
        self._account, self._region, self._now = account, region, now
        self._store = Store(now=lambda: now().timestamp())
        self._read = 0  # how many of moto's data the store has already
        self._lock = threading.Lock()

    @property
    def _backend(self) -> Any:
        return cloudwatch_backends[self._account][self._region]

    # ------------------------------------------------------------------------------------------ metrics

    def add_source(self, source: Source) -> None:
        self._store.add_source(source)

    def collect(self) -> None:
        self.put(self._store.read_sources())

    def put(self, data: Iterable[Datum]) -> None:
        at = self._now().astimezone(UTC).replace(tzinfo=None)  # moto's own times are naive UTC
        by_namespace: dict[str, list[dict[str, Any]]] = {}
        for datum in data:
            by_namespace.setdefault(datum.metric.namespace, []).append(_entry(datum, at))
        for namespace, entries in by_namespace.items():
            self._backend.put_metric_data(namespace, entries)
        self._catch_up()

    def series(self, metric: Metric, statistic: str, period: float, count: int, end: float) -> list[float | None]:
        self._catch_up()
        return self._store.series(metric, statistic, period, count, end)

    def _catch_up(self) -> None:
        """Copy into the store what anybody put into moto since the last call."""
        with self._lock:
            held: list[Any] = self._backend.metric_data
            self._read = self._read if self._read <= len(held) else 0  # moto was reset
            fresh, self._read = held[self._read :], len(held)
            for datum in fresh:
                self._store.add(_datum(datum), _utc(datum.timestamp))
            self._read -= self._forget(held)

    def _forget(self, held: list[Any]) -> int:
        """Drop data older than any alarm looks back, because moto keeps data for ever. Returns how many it dropped."""
        oldest = self._now().timestamp() - KEPT_SECONDS
        old = next((at for at, datum in enumerate(held) if _utc(datum.timestamp) >= oldest), len(held))
        del held[:old]
        return old

    # ------------------------------------------------------------------------------------------ alarms

    def alarms(self) -> list[Alarm]:
        records = list(self._backend.alarms.values())
        for record in records:
            if record.state_reason == _UNCHECKED:  # on AWS a new alarm has seen no data; moto's is OK
                record.state_value = "INSUFFICIENT_DATA"
        # localcloud does not evaluate composite alarms and metric maths; they keep the state that SetAlarmState gave.
        return [_alarm(record) for record in records if record.rule is None and record.metric_name]

    def set_state(self, name: str, state: State, reason: str) -> None:
        record = self._backend.alarms.get(name)
        if record is not None:
            record.update_state(reason, "{}", state)

    def put_alarm(self, alarm: Alarm, *, description: str) -> str:
        record = self._backend.put_metric_alarm(
            name=alarm.name, namespace=alarm.metric.namespace, metric_name=alarm.metric.name,
            comparison_operator=alarm.comparison, evaluation_periods=alarm.evaluation_periods,
            datapoints_to_alarm=alarm.datapoints_to_alarm, period=int(alarm.period), threshold=alarm.threshold,
            statistic=alarm.statistic, description=description, alarm_actions=list(alarm.actions),
            dimensions=[{"Name": name, "Value": value} for name, value in alarm.metric.dimensions],
            treat_missing_data=alarm.missing,
        )  # fmt: skip
        record.state_value = alarm.state
        return str(record.alarm_arn)

    def delete_alarms(self, names: Iterable[str]) -> None:
        self._backend.delete_alarms(list(names))


def _entry(datum: Datum, at: datetime) -> dict[str, Any]:
    """A datum as an entry of PutMetricData."""
    return {
        "MetricName": datum.metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in datum.metric.dimensions],
        "Timestamp": at,
        "Unit": datum.unit,
        "StatisticValues": {
            "SampleCount": datum.count, "Sum": datum.total, "Minimum": datum.minimum, "Maximum": datum.maximum,
        },
    }  # fmt: skip


def _datum(record: Any) -> Datum:
    """A Datum from moto's record of one value or of a summary."""
    metric = Metric(
        namespace=record.namespace,
        name=record.name,
        dimensions=tuple(sorted((each.name, each.value) for each in record.dimensions)),
    )
    if isinstance(record, MetricAggregatedDatum):
        return Datum(metric=metric, count=record.sample_count, total=record.sum, minimum=record.min, maximum=record.max)
    return Datum(metric=metric, count=1, total=record.value, minimum=record.value, maximum=record.value)


def _alarm(record: Any) -> Alarm:
    periods = int(record.evaluation_periods or 1)
    return Alarm(
        name=record.name,
        metric=Metric(
            namespace=record.namespace,
            name=record.metric_name,
            dimensions=tuple(sorted((each.name, each.value) for each in record.dimensions)),
        ),
        statistic=record.statistic or record.extended_statistic or "Average",
        period=float(record.period or 60),
        comparison=record.comparison_operator,
        threshold=float(record.threshold or 0),
        evaluation_periods=periods,
        datapoints_to_alarm=int(record.datapoints_to_alarm or periods),
        missing=record.treat_missing_data or "missing",
        actions=tuple(record.alarm_actions or ()) if record.actions_enabled else (),
        state=cast("State", record.state_value),
        changed=_utc(record.state_updated_timestamp),
    )


def _utc(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
