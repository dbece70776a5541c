"""Logs by name: the groups to read, following to the end, and slowing down when CloudWatch throttles."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from deploy.commands.logs import logs, milliseconds, readers
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


def test_another_error_ends_it(desk: Callable[..., Desk]) -> None:
    with pytest.raises(AwsError, match="AccessDenied"):
        logs(desk([refusal("AccessDeniedException")]).session, "lambda", follow=True)


def test_a_job_that_has_ended_is_followed_to_its_last_line(desk: Callable[..., Desk]) -> None:
    statuses = [{"TrainingJobStatus": "InProgress"}, {"TrainingJobStatus": "Completed"}]
    made = desk([["one"], ["last"]], {"DescribeTrainingJob": statuses})
    logs(made.session, "lambda", follow=True)
    assert made.out.getvalue().endswith("last\n")


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


def test_a_name_may_be_a_job_an_endpoint_the_function_a_run_or_the_notebook(settings: Settings, golden: Golden) -> None:
    aws = FakeAws({"FilterLogEvents": {"events": []}})
    sources = readers(settings, aws, "main", since=5)
    assert [(each.group, each.prefix, each.since) for each in sources] == [
        ("/aws/sagemaker/TrainingJobs", "main/", 5),
        ("/aws/sagemaker/TransformJobs", "main/", 5),
        ("/aws/sagemaker/Endpoints/kennel-local", "", 5),
        ("/aws/lambda/main", "", 5),
        ("/kennel/kennel-local/ec2", "main/", 5),
        ("/aws/sagemaker/NotebookInstances", "main/", 5),
    ]
    assert readers(settings, aws, "lambda")[3].group == GROUP
    list(sources[2].read())
    golden("endpoint", aws.sent[0])
