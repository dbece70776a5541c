"""Reading logs: each line once, late lines too, in spite of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deploy.aws.logs import LATE_MS, LogReader, host_of, job_reader
from deploy.errors import AwsError
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, refusal


def event(name: str, when: int, stream: str = "j/algo-1-1700000000") -> dict[str, Any]:
    return {"eventId": name, "timestamp": when, "message": name, "logStreamName": stream}


class Group:
    """A log group that answers as CloudWatch does: events from startTime on, in pages of two."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, params: Mapping[str, Any]) -> dict[str, Any]:
        events = sorted(self.events, key=lambda each: int(each["timestamp"]))
        events = [each for each in events if each["timestamp"] >= params["startTime"]]
        start = int(params.get("nextToken", 0))
        more = {"nextToken": str(start + 2)} if start + 2 < len(events) else {}
        return {"events": events[start : start + 2], **more}


def test_a_line_is_read_once_and_a_late_line_is_not_lost() -> None:
    group = Group()
    reader = LogReader(call=FakeAws({"FilterLogEvents": group}), group="g")
    group.events = [event("a", 1_000_000), event("b", 1_000_001), event("c", 1_000_002)]
    assert [line.text for line in reader.read()] == ["a", "b", "c"]
    assert list(reader.read()) == []
    group.events += [event("late", 1_000_002 - LATE_MS, "j/algo-2-1700000000"), event("d", 1_000_003)]
    assert [(line.host, line.text) for line in reader.read()] == [("algo-2", "late"), ("algo-1", "d")]


def test_no_line_before_since_is_read() -> None:
    group = Group()
    group.events = [event("old", 10), event("new", 20)]
    assert [line.text for line in LogReader(call=FakeAws({"FilterLogEvents": group}), group="g", since=15).read()] == [
        "new"
    ]


def test_lines_of_another_job_are_not_read() -> None:
    group = Group()
    group.events = [event("mine", 1), event("other", 2, "j-2/algo-1-1700000000")]
    assert [line.text for line in job_reader("j", FakeAws({"FilterLogEvents": group})).read()] == ["mine"]


def test_after_a_throttled_page_the_rest_is_read_and_nothing_twice() -> None:
    first = {"events": [event("a", 1)], "nextToken": "t"}
    second = {"events": [event("a", 1), event("b", 2)]}
    reader = LogReader(call=FakeAws({"FilterLogEvents": [first, refusal("ThrottlingException"), second]}), group="g")
    lines: list[str] = []
    with pytest.raises(AwsError):
        lines.extend(line.text for line in reader.read())
    lines = [line.text for line in reader.read()]
    assert lines == ["b"]


def test_a_group_that_does_not_exist_yet_has_no_lines() -> None:
    aws = FakeAws({"FilterLogEvents": refusal("ResourceNotFoundException", "no such group")})
    assert list(job_reader("j", aws).read()) == []


def test_cloudwatch_accepts_the_request(golden: Golden) -> None:
    aws = FakeAws({"FilterLogEvents": {"events": [], "nextToken": ""}})
    list(job_reader("kennel-local-train-1", aws).read())
    golden("job", aws.sent[0])


@pytest.mark.parametrize(
    ("stream", "host"),
    [
        ("dogs-1/algo-2-1795225200000", "algo-2"),
        ("main/i-0a1b2c", "i-0a1b2c"),
        ("2026/11/21/[7]0a1b2c3d4e5f60718293a4b5c6d7e8f9", "7/0a1b2c3d"),
        ("alone", "alone"),
    ],
)
def test_a_line_has_the_host_or_instance_that_wrote_it(stream: str, host: str) -> None:
    assert host_of(stream) == host
