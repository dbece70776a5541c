"""CloudWatch Logs answers and refuses as recorded from AWS (rule 108)."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.cloudwatch import log_rules
from localcloud.gateway.server import Application, Listener, bind

INVALID, ABSENT = "InvalidParameterException", "ResourceNotFoundException"
GROUP = {"logGroupName": "/kennel/rules"}
NO_GROUP, NO_STREAM = "The specified log group does not exist.", "The specified log stream does not exist."


@pytest.fixture(scope="module")
def logs() -> Iterator[Any]:
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([log_rules.service()], region="us-east-1", health=dict))
    listener.start()
    made: Any = boto3.client(
        "logs", endpoint_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}", region_name="us-east-1",
        aws_access_key_id="a", aws_secret_access_key="b", config=Config(parameter_validation=False),
    )  # fmt: skip
    made.create_log_group(**GROUP)
    made.create_log_stream(**GROUP, logStreamName="s")
    yield made
    made.delete_log_group(**GROUP)
    listener.stop()


@pytest.mark.parametrize(
    ("operation", "params", "code", "message"),
    [
        ("create_log_group", GROUP, "ResourceAlreadyExistsException", "The specified log group already exists"),
        ("describe_log_groups", {"logGroupNamePrefix": "a", "logGroupNamePattern": "b"}, INVALID,
         "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."),
        ("filter_log_events", GROUP | {"limit": 10001}, INVALID,
         "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value "
         "less than or equal to 10000"),
        ("filter_log_events", GROUP | {"nextToken": "unknown"}, INVALID, "The specified nextToken is invalid."),
        ("filter_log_events", {"logGroupName": "gone"}, ABSENT, NO_GROUP),
        ("delete_log_group", {"logGroupName": "gone"}, ABSENT, NO_GROUP),
        ("put_retention_policy", {"logGroupName": "gone", "retentionInDays": 7}, ABSENT, NO_GROUP),
        ("put_retention_policy", GROUP | {"retentionInDays": 8}, INVALID,
         "1 validation error detected: Value '8' at 'retentionInDays' failed to satisfy constraint: Member must "
         "satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, "
         "2557, 2922, 3288, 3653]"),
        ("put_log_events", GROUP | {"logStreamName": "s", "logEvents": [
            {"timestamp": 1_796_000_000_000, "message": "late"}, {"timestamp": 1_795_999_999_000, "message": "early"},
        ]}, INVALID, "Log events in a single PutLogEvents request must be in chronological order."),
        ("put_log_events", GROUP | {"logStreamName": "t", "logEvents": [{"timestamp": 1, "message": "m"}]}, ABSENT,
         NO_STREAM),
    ],
)  # fmt: skip
def test_a_request_that_aws_refuses(logs: Any, operation: str, params: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(logs, operation)(**params)
    error = caught.value.response
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (400, code)
    assert error["Error"]["Message"] == message


def test_requests_that_pass_are_answered_by_moto(logs: Any) -> None:
    logs.put_retention_policy(**GROUP, retentionInDays=14)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=GROUP["logGroupName"])["logGroups"]
    assert group["retentionInDays"] == 14
    logs.put_log_events(
        **GROUP, logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "a"}] * 3
    )
    first = logs.filter_log_events(**GROUP, limit=2)
    rest = logs.filter_log_events(**GROUP, limit=2, nextToken=first["nextToken"])
    assert (len(first["events"]), len(rest["events"])) == (2, 1)
