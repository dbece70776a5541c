"""CloudWatch through boto3: metrics that localcloud measures, metrics that clients put, and alarms on both."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from localcloud.aws_client import client
from localcloud.cloudwatch.backend import CloudWatch
from localcloud.cloudwatch.metrics import metric, summary
from localcloud.cloudwatch.monitor import Monitor
from localcloud.gateway.server import Application, Listener, bind

ACCOUNT = "123456789012"
REGION = "eu-central-2"  # used by no other test of this process


@pytest.fixture
def aws() -> Iterator[Any]:
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([], region=REGION, health=dict))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    yield client("cloudwatch", url, REGION)
    requests.post(f"{url}/moto-api/reset", timeout=5)
    listener.stop()


def test_clients_read_what_is_measured_and_alarms_read_what_clients_put(aws: Any) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    now = [start]
    cloudwatch = CloudWatch(account=ACCOUNT, region=REGION, now=lambda: now[0])
    cloudwatch.put([summary(metric("AWS/SageMaker", "Invocations", EndpointName="e"), [1.0, 1.0, 1.0])])
    statistics = aws.get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName="Invocations", Dimensions=[{"Name": "EndpointName", "Value": "e"}],
        StartTime=start - timedelta(minutes=1), EndTime=start + timedelta(minutes=1), Period=60, Statistics=["Sum"],
    )  # fmt: skip
    assert [point["Sum"] for point in statistics["Datapoints"]] == [3.0]
    aws.put_metric_data(
        Namespace="Mine",
        MetricData=[
            {"MetricName": "Depth", "Value": 5.0, "Timestamp": start},
            {"MetricName": "Depth", "Value": 7.0, "Timestamp": start + timedelta(minutes=1)},
        ],
    )
    aws.put_metric_alarm(
        AlarmName="deep", Namespace="Mine", MetricName="Depth", Statistic="Maximum", Period=60, EvaluationPeriods=1,
        Threshold=6.0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    monitor = Monitor(metrics=cloudwatch, alarms=cloudwatch)
    assert [alarm.state for alarm in cloudwatch.alarms()] == ["INSUFFICIENT_DATA"]
    assert state(aws) == "INSUFFICIENT_DATA"
    assert cloudwatch.series(metric("Mine", "Depth"), "Sum", 60, 1, (start + timedelta(minutes=1)).timestamp()) == [5.0]
    now[0] = start + timedelta(minutes=2)
    monitor.tick(now[0].timestamp())
    assert state(aws) == "ALARM"
    aws.set_alarm_state(AlarmName="deep", StateValue="INSUFFICIENT_DATA", StateReason="by hand")
    monitor.tick(datetime.now(UTC).timestamp() + 1)
    assert state(aws) == "INSUFFICIENT_DATA"
    monitor.tick(now[0].timestamp() + 300)
    assert state(aws) == "OK"
    aws.delete_alarms(AlarmNames=["deep"])
    assert cloudwatch.alarms() == []


def test_data_older_than_a_day_is_dropped(aws: Any) -> None:
    now = [datetime(2026, 11, 19, 12, 0, tzinfo=UTC)]
    cloudwatch = CloudWatch(account=ACCOUNT, region=REGION, now=lambda: now[0])
    for _ in range(2):
        cloudwatch.put([summary(metric("Old", "Count"), [1.0])])
        now[0] += timedelta(days=1, minutes=1)
    cloudwatch.put([summary(metric("Old", "Other"), [1.0])])
    assert [each["MetricName"] for each in aws.list_metrics(Namespace="Old")["Metrics"]] == ["Other"]


def state(aws: Any) -> str:
    value: str = aws.describe_alarms(AlarmNames=["deep"])["MetricAlarms"][0]["StateValue"]
    return value
