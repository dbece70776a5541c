"""Logs by name: the groups to read, following to the end, and slowing down when CloudWatch throttles."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from deploy.commands.logs import ended, logs, milliseconds, readers_of
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import AwsError, DeployError
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

GONE = refusal("ValidationException", "Requested resource not found.")
NOBODY = {"DescribeTrainingJob": GONE, "DescribeTransformJob": GONE}
GROUP = "/aws/lambda/kennel-local-classify"


class Desk:
    """A session whose function log gives the next list of lines at each read."""

    def __init__(self, settings: Settings, looks: list[Any], replies: dict[str, Any] | None = None) -> None:
        self.out, self.time, self.looks = io.StringIO(), FakeTime(), list(looks)
        self.aws = FakeAws({**NOBODY, **(replies or {}), "FilterLogEvents": self.events})
        self.session = Session(
            settings=settings, call=self.aws, build=lambda _: "", screen=Screen(out=self.out), clock=self.time.clock()
        )

    def events(self, params: Any) -> dict[str, Any]:
        if params["logGroupName"] != GROUP:
            raise refusal("ResourceNotFoundException")
        look = self.looks.pop(0)
        if isinstance(look, BaseException):
            raise look
        stream = {"logStreamName": "2026/11/21/[3]0a1b2c3d4e5f", "timestamp": 1_000_000}
        return {"events": [{"message": text, "eventId": text, **stream} for text in look]}


@pytest.fixture
def desk(settings: Settings) -> Callable[..., Desk]:
    return lambda looks, replies=None: Desk(settings, looks, replies)


def test_lines_are_shown_with_time_and_host(desk: Callable[..., Desk]) -> None:
    made = desk([["hello"]])
    logs(made.session, "lambda")
    assert made.out.getvalue() == "00:16:40  3/0a1b2c3d  hello\n"


def test_following_shows_each_line_once_and_ends_quietly_at_ctrl_c(desk: Callable[..., Desk]) -> None:
    made = desk([["one"], ["one", "two"], KeyboardInterrupt()])
    logs(made.session, "kennel-local-classify", follow=True)
    assert [line.split()[-1] for line in made.out.getvalue().splitlines()] == ["one", "two"]
    assert made.time.slept == [2.0, 2.0]


def test_following_slows_down_when_throttled_and_loses_no_line(desk: Callable[..., Desk]) -> None:
    slow = refusal("ThrottlingException", "Rate exceeded")
    made = desk([["one"], slow, slow, ["two"], KeyboardInterrupt()])
    logs(made.session, "lambda", follow=True)
    assert [line.split()[-1] for line in made.out.getvalue().splitlines()] == ["one", "two"]
    assert made.time.slept == [2.0, 4.0, 8.0, 2.0]


def test_throttling_does_not_end_it_without_follow_either(desk: Callable[..., Desk]) -> None:
    slow = refusal("ThrottlingException", "Rate exceeded")
    made = desk([slow, slow, ["one"]])
    logs(made.session, "lambda")
    assert made.out.getvalue().endswith("one\n")
    with pytest.raises(AwsError, match="ThrottlingException"):
        logs(desk([slow] * 10).session, "lambda")


def test_another_error_ends_it(desk: Callable[..., Desk]) -> None:
    with pytest.raises(AwsError, match="ExpiredToken"):
        logs(desk([refusal("ExpiredTokenException")]).session, "lambda", follow=True)


def test_a_log_that_may_not_be_read_is_told_once_and_left_out(desk: Callable[..., Desk]) -> None:
    made = desk([refusal("AccessDeniedException"), ["never"]])
    with pytest.raises(DeployError, match="lambda: no log"):
        logs(made.session, "lambda")
    assert made.out.getvalue() == f"   {GROUP}: may not be read (test.Test: AccessDeniedException)\n"


def test_following_ends_when_nothing_may_be_read(settings: Settings) -> None:
    made = Desk(settings, [])
    made.aws.replies = {**made.aws.replies, "FilterLogEvents": refusal("AccessDeniedException")}
    with pytest.raises(DeployError, match="no log"):
        logs(made.session, "kennel-local-x", follow=True)
    assert made.out.getvalue().count("may not be read") == 5


JOB = "kennel-local-train-0123456789"


def test_a_job_that_has_ended_is_followed_to_its_last_line(settings: Settings) -> None:
    made = Desk(
        settings, [], {"DescribeTrainingJob": [{"TrainingJobStatus": "InProgress"}, {"TrainingJobStatus": "Completed"}]}
    )
    event = {"logStreamName": f"{JOB}/algo-1-1", "timestamp": 1_000_000}
    reads = [{"events": [{"message": text, "eventId": text, **event}]} for text in ("one", "last")]
    made.aws.replies = {
        **made.aws.replies,
        "FilterLogEvents": lambda params: reads.pop(0) if params["logGroupName"].endswith("/TrainingJobs") else {},
    }
    logs(made.session, JOB, follow=True)
    assert made.out.getvalue().endswith("last\n")


def test_a_job_that_may_not_be_described_is_followed_until_ctrl_c(settings: Settings) -> None:
    denied = refusal("AccessDeniedException")
    made = Desk(settings, [], {"DescribeTrainingJob": denied, "DescribeTransformJob": denied})
    reads = [{}, KeyboardInterrupt()]

    def events(params: Any) -> Any:
        read = reads.pop(0) if params["logGroupName"].endswith("/TrainingJobs") else {}
        if isinstance(read, BaseException):
            raise read
        return read

    made.aws.replies = {**made.aws.replies, "FilterLogEvents": events}
    logs(made.session, JOB, follow=True)
    assert "DescribeTransformJob" in made.aws.operations


@pytest.mark.parametrize("name", ["main", "lambda", "other-job", "kennel-prod-train-0123456789", "kennel-local"])
def test_only_a_name_that_a_job_of_the_stage_may_have_is_described(settings: Settings, name: str) -> None:
    aws = FakeAws()
    assert not ended(settings, name, aws)
    assert aws.sent == []


def test_a_name_without_a_log_is_an_error_that_names_the_time_span(desk: Callable[..., Desk]) -> None:
    with pytest.raises(DeployError, match="lambda: no log in the last 10m"):
        logs(desk([[]]).session, "lambda", since="10m")


def test_since_is_read_as_people_write_it(desk: Callable[..., Desk]) -> None:
    assert milliseconds("", 1000.0) == 0
    assert [milliseconds(text, 1_000_000.0) for text in ("90s", "10m", "2h", "1d")] == [
        999_910_000, 999_400_000, 992_800_000, 913_600_000,
    ]  # fmt: skip
    for wrong in ("10", "m", "-1m", "1w", "1.5h"):
        made = desk([])
        with pytest.raises(DeployError, match=f"--since {wrong}: write a number"):
            logs(made.session, "lambda", since=wrong)
        assert made.aws.sent == []


SHARED = ["/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs", "/kennel/kennel-local/ec2",
          "/aws/sagemaker/NotebookInstances"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("main", "/aws/sagemaker/Endpoints/kennel-local"),
        ("kennel-local", "/aws/sagemaker/Endpoints/kennel-local"),
        ("kennel-local-old", "/aws/sagemaker/Endpoints/kennel-local-old"),
        ("lambda", GROUP),
        ("other", ""),
        ("kennel-prod-classify", ""),
        ("kennel-locally", ""),
    ],
)
def test_only_groups_that_the_name_can_mean_are_asked_for(settings: Settings, name: str, group: str) -> None:
    readers = readers_of(settings, FakeAws(), name, since=5)
    assert [(each.group, each.prefix, each.since) for each in readers] == [
        *((shared, f"{name}/", 5) for shared in SHARED), *([(group, "", 5)] if group else []),
    ]  # fmt: skip


def test_the_functions_own_name_may_be_an_endpoints_too(settings: Settings) -> None:
    readers = readers_of(settings, FakeAws(), "kennel-local-classify")
    assert [each.group for each in readers[4:]] == ["/aws/sagemaker/Endpoints/kennel-local-classify", GROUP]


def test_cloudwatch_accepts_every_request(settings: Settings, golden: Golden) -> None:
    aws = FakeAws({"FilterLogEvents": {"events": []}})
    for reader in (*readers_of(settings, aws, "main"), readers_of(settings, aws, "lambda")[-1]):
        list(reader.read())
    for request in aws.sent:
        golden(f"logs-of-{request.params['logGroupName'].strip('/').replace('/', '-').lower()}", request)
