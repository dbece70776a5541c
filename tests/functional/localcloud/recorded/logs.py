"""CloudWatch Logs as AWS was recorded."""

from __future__ import annotations

from typing import Any

from tests.functional.localcloud.recorded.case import Case, answered, but, refused

GROUPS = "logs/test_logs_groups.py::TestLogsGroups"
TAGS = "logs/test_logs_groups.py::TestLogsGroupsTags::test_tag_resource_api"
LONG = "a" * 513
FILTER = "logs/test_logs_filter_events.py::TestFilterLogEvents"


def _group(logs: Any, name: str, **more: Any) -> str:
    """Creates a log group and returns its ARN as tags take it."""
    logs.create_log_group(logGroupName=name, **more)
    [group] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return str(group["arn"]).removesuffix(":*")


def _twice(logs: Any) -> Any:
    _group(logs, "twice")
    return logs.create_log_group(logGroupName="twice")


def _described(logs: Any) -> Any:
    _group(logs, "described")
    return logs.describe_log_groups(logGroupNamePrefix="described")


def _tags_read(logs: Any) -> Any:
    return logs.list_tags_for_resource(resourceArn=_group(logs, "tags", tags={"env": "testing"}))


def _tagged(logs: Any) -> Any:
    arn = _group(logs, "tagged", tags={"env": "testing"})
    logs.tag_resource(resourceArn=arn, tags={"more": "tags"})
    answer = logs.list_tags_for_resource(resourceArn=arn)
    assert answer["tags"] == {"env": "testing", "more": "tags"}
    return answer


def _filtered(logs: Any, **more: Any) -> Any:
    if not logs.describe_log_groups(logGroupNamePrefix="filtered")["logGroups"]:
        _group(logs, "filtered")
    return logs.filter_log_events(logGroupName="filtered", **more)


CASES = (
    Case(
        operation="CreateLogGroup",
        source=f"{GROUPS}::test_create_log_group_duplicate_error",
        ask=_twice,
        aws=refused("ResourceAlreadyExistsException", 400, "The specified log group already exists"),
    ),
    Case(
        operation="CreateLogGroup",
        source=f"{GROUPS}::test_create_log_group_invalid_name_length",
        ask=lambda logs: logs.create_log_group(logGroupName=LONG),
        aws=refused(
            "InvalidParameterException",
            400,
            "Invalid LogGroup or LogStream, both must have length less than or equal to 512.",
        ),
        here=refused(
            "InvalidParameterException",
            400,
            f"1 validation error detected: Value '{LONG}' at 'logGroupName' failed to satisfy constraint: Member "
            "must have length less than or equal to 512",
        ),
    ),
    Case(
        operation="DescribeLogGroups",
        source=f"{GROUPS}::test_describe_log_groups_with_prefix",
        ask=_described,
        aws=answered(
            "logGroups.arn logGroups.creationTime logGroups.deletionProtectionEnabled logGroups.logGroupArn "
            "logGroups.logGroupClass logGroups.logGroupName logGroups.metricFilterCount logGroups.storedBytes"
        ),
        here=but(
            answered(
                "logGroups.arn logGroups.creationTime logGroups.deletionProtectionEnabled logGroups.logGroupArn "
                "logGroups.logGroupClass logGroups.logGroupName logGroups.metricFilterCount logGroups.storedBytes"
            ),
            without="logGroups.deletionProtectionEnabled logGroups.logGroupClass",
        ),
    ),
    Case(
        operation="DescribeLogGroups",
        source=f"{GROUPS}::test_describe_log_groups_prefix_and_pattern_error",
        ask=lambda logs: logs.describe_log_groups(logGroupNamePrefix="a", logGroupNamePattern="a"),
        aws=refused(
            "InvalidParameterException",
            400,
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ),
        here=answered("logGroups"),
    ),
    Case(operation="ListTagsForResource", source=TAGS, ask=_tags_read, aws=answered("tags")),
    Case(operation="TagResource", source=TAGS, ask=_tagged, aws=answered("tags")),
    Case(
        operation="FilterLogEvents",
        source=f"{FILTER}::test_filter_log_events_limit_validation",
        ask=lambda logs: _filtered(logs, limit=10001),
        aws=refused(
            "InvalidParameterException",
            400,
            "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have "
            "value less than or equal to 10000",
        ),
    ),
    Case(
        operation="FilterLogEvents",
        source=f"{FILTER}::test_filter_log_events_unknown_token",
        ask=lambda logs: _filtered(logs, nextToken="unknown"),
        aws=refused("InvalidParameterException", 400, "The specified nextToken is invalid."),
        here=answered("events searchedLogStreams"),
    ),
)
