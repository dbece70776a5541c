"""CloudWatch as AWS was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.functional.localcloud.recorded.case import Case, answered, but, refused

TESTS = "cloudwatch/test_cloudwatch.py::TestCloudwatch"
ALARM = {
    "Namespace": "Recorded", "MetricName": "Depth", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 30.0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
A_DAY = {"Namespace": "Recorded", "MetricName": "metric", "StartTime": NOW, "EndTime": NOW + timedelta(days=1)}
DESCRIBED = " ".join(
    ["CompositeAlarms"]
    + [
        f"MetricAlarms.{key}"
        for key in (
            "ActionsEnabled", "AlarmActions", "AlarmArn", "AlarmConfigurationUpdatedTimestamp", "AlarmName",
            "ComparisonOperator", "Dimensions", "EvaluationPeriods", "InsufficientDataActions", "MetricName",
            "Namespace", "OKActions", "Period", "StateReason", "StateTransitionedTimestamp", "StateUpdatedTimestamp",
            "StateValue", "Statistic", "Threshold",
        )
    ]
)  # fmt: skip


def _described(cloudwatch: Any) -> Any:
    cloudwatch.put_metric_alarm(AlarmName="described", **ALARM)
    answer = cloudwatch.describe_alarms(AlarmNames=["described"])
    assert answer["MetricAlarms"][0]["StateReason"] == "Unchecked: Initial alarm creation"
    return answer


def _deleted(cloudwatch: Any) -> Any:
    cloudwatch.put_metric_alarm(AlarmName="deleted", **ALARM)
    return cloudwatch.delete_alarms(AlarmNames=["deleted"])


def _described_after_delete(cloudwatch: Any) -> Any:
    _deleted(cloudwatch)
    return cloudwatch.describe_alarms(AlarmNames=["deleted"])


def _tagged(cloudwatch: Any) -> Any:
    cloudwatch.put_metric_alarm(AlarmName="tagged", Tags=[{"Key": "env", "Value": "testing"}], **ALARM)
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["tagged"])["MetricAlarms"]
    return cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])


def _tags_of_a_deleted_alarm(cloudwatch: Any) -> Any:
    cloudwatch.put_metric_alarm(AlarmName="untagged", Tags=[{"Key": "env", "Value": "testing"}], **ALARM)
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["untagged"])["MetricAlarms"]
    cloudwatch.delete_alarms(AlarmNames=["untagged"])
    return cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])


def _statistics(cloudwatch: Any) -> Any:
    cloudwatch.put_metric_data(
        Namespace="Recorded", MetricData=[{"MetricName": "metric", "Value": 4.5, "Timestamp": NOW}]
    )
    names = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"]
    return cloudwatch.get_metric_statistics(**A_DAY, Period=60, Statistics=names)


CASES = (
    Case(
        operation="PutMetricAlarm",
        source=f"{TESTS}::test_tagging_metric_alarm",
        ask=lambda cloudwatch: cloudwatch.put_metric_alarm(AlarmName="put", **ALARM),
        aws=answered(),
    ),
    Case(
        operation="DescribeAlarms",
        source=f"{TESTS}::test_delete_alarm",
        ask=_described,
        aws=answered(DESCRIBED),
        here=but(
            answered(DESCRIBED),
            without="MetricAlarms.StateTransitionedTimestamp",
            more="MetricAlarms.Metrics MetricAlarms.StateReasonData",
        ),
    ),
    Case(
        operation="DescribeAlarms",
        source=f"{TESTS}::test_delete_alarm",
        ask=_described_after_delete,
        aws=answered("CompositeAlarms MetricAlarms"),
    ),
    Case(operation="DeleteAlarms", source=f"{TESTS}::test_delete_alarm", ask=_deleted, aws=answered()),
    Case(
        operation="ListTagsForResource",
        source=f"{TESTS}::test_tagging_metric_alarm",
        ask=_tagged,
        aws=answered("Tags.Key Tags.Value"),
    ),
    Case(
        operation="ListTagsForResource",
        source=f"{TESTS}::test_tagging_metric_alarm",
        ask=_tags_of_a_deleted_alarm,
        aws=answered("Tags"),
        here=but(answered("Tags"), without="Tags", more="Tags.Key Tags.Value"),
    ),
    Case(
        operation="GetMetricStatistics",
        source=f"{TESTS}::test_get_metric_statistics",
        ask=_statistics,
        aws=answered(
            "Datapoints.Average Datapoints.Maximum Datapoints.Minimum Datapoints.SampleCount Datapoints.Sum "
            "Datapoints.Timestamp Datapoints.Unit Label"
        ),
        here=but(
            answered(
                "Datapoints.Average Datapoints.Maximum Datapoints.Minimum Datapoints.SampleCount Datapoints.Sum "
                "Datapoints.Timestamp Datapoints.Unit Label"
            ),
            without="Datapoints.Unit",
        ),
    ),
    Case(
        operation="GetMetricStatistics",
        source=f"{TESTS}::test_invalid_amount_of_datapoints",
        ask=lambda cloudwatch: cloudwatch.get_metric_statistics(**A_DAY, Period=1, Statistics=["SampleCount"]),
        aws=refused(
            "InvalidParameterCombination",
            400,
            "You have requested up to 86400 datapoints, which exceeds the limit of 1440. You may reduce the "
            "datapoints "
            "requested by increasing Period, or decreasing the time range.",
        ),
        here=answered("Datapoints.SampleCount Datapoints.Timestamp Label"),
    ),
    Case(
        operation="GetMetricStatistics",
        source=f"{TESTS}::test_invalid_amount_of_datapoints",
        ask=lambda cloudwatch: cloudwatch.get_metric_statistics(
            **A_DAY | {"EndTime": NOW}, Period=1, Statistics=["SampleCount"]
        ),
        aws=refused("InvalidParameterValue", 400, "The parameter StartTime must be less than the parameter EndTime."),
    ),
    Case(
        operation="SetAlarmState",
        source=f"{TESTS}::test_set_alarm_invalid_input",
        ask=lambda cloudwatch: cloudwatch.set_alarm_state(AlarmName="none", StateValue="ALARM", StateReason="test"),
        aws=refused("ResourceNotFound", 404, ""),
        here=refused("ResourceNotFound", 404, "An unspecified service error occurred"),
    ),
    Case(
        operation="SetAlarmState",
        source=f"{TESTS}::test_set_alarm_invalid_input",
        ask=lambda cloudwatch: cloudwatch.set_alarm_state(AlarmName="none", StateValue="INVALID", StateReason="test"),
        aws=refused(
            "ValidationError",
            400,
            "1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: Member must "
            "satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]",
        ),
        here=refused("ResourceNotFound", 404, "An unspecified service error occurred"),
    ),
)
