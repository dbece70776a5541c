"""The lock of a stage: waiting, taking over, releasing."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.aws.lock import Held, Holder, Lock, is_gone
from deploy.errors import DeployError
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, Reply, refusal

ME = Holder(who="ada", host="here", pid=1)
OTHER = Holder(who="bob", host="there", pid=2)
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def lying(holder: Holder | None, *, age: float = 0.0) -> Reply:
    """GetObject's answer while a lock lies there."""

    def answer(_: Any) -> dict[str, Any]:
        body = json.dumps(asdict(holder)).encode() if holder else b"not JSON"
        date = {"date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        return {
            "Body": io.BytesIO(body),
            "ETag": '"old"',
            "LastModified": NOW - timedelta(seconds=age),
            "ResponseMetadata": {"HTTPHeaders": date},
        }

    return answer


def lock(aws: FakeAws, lines: list[str], *, patience_s: float = 900) -> Lock:
    return Lock(
        call=aws,
        bucket="kennel-local-123456789012-us-east-1",
        holder=ME,
        say=lines.append,
        clock=FakeTime().clock(),
        patience_s=patience_s,
    )


def test_a_free_lock_is_taken_by_a_conditional_write_and_released(golden: Golden) -> None:
    aws, lines = FakeAws({"PutObject": {"ETag": '"mine"'}}), list[str]()
    with lock(aws, lines):
        pass
    assert aws.operations == ["PutObject", "DeleteObject"]
    assert aws.sent[0].params["IfNoneMatch"] == "*"
    assert aws.sent[1].params["IfMatch"] == '"mine"'
    assert lines == []
    golden("lock", aws.sent[0])
    golden("unlock", aws.sent[1])


def test_the_second_command_waits_for_the_first_and_says_for_whom() -> None:
    taken: Reply = refusal("PreconditionFailed")
    aws, lines = FakeAws({"PutObject": [taken, taken, {"ETag": '"mine"'}], "GetObject": lying(OTHER)}), list[str]()
    with lock(aws, lines):
        pass
    assert lines == ["   bob on there (process 2) is changing this stage: waiting"]


def test_waiting_ends_with_an_error_when_the_first_command_does_not_end() -> None:
    aws = FakeAws({"PutObject": refusal("PreconditionFailed"), "GetObject": lying(OTHER)})
    with pytest.raises(DeployError, match=r"bob on there \(process 2\) is changing this stage; try again"):
        lock(aws, [], patience_s=5).__enter__()
    assert "DeleteObject" not in aws.operations


@pytest.mark.parametrize("holder", [OTHER, None])
def test_a_stale_lock_is_taken_over_only_if_nobody_has_renewed_it_since(holder: Holder | None) -> None:
    replies: dict[str, Reply | list[Reply]] = {
        "PutObject": [refusal("PreconditionFailed"), {"ETag": '"mine"'}],
        "GetObject": lying(holder, age=600),
    }
    aws, lines = FakeAws(replies), list[str]()
    with lock(aws, lines):
        pass
    assert aws.sent[2].params["IfMatch"] == '"old"'
    assert "continuing from there" in lines[0]


def test_an_error_inside_releases_the_lock() -> None:
    aws = FakeAws({"PutObject": {"ETag": '"mine"'}})
    with pytest.raises(ValueError, match="within"), lock(aws, []):
        raise ValueError("within")
    assert aws.operations[-1] == "DeleteObject"


@pytest.mark.parametrize("code", ["NoSuchBucket", "PreconditionFailed"])
def test_releasing_a_lock_that_is_gone_or_taken_over_is_no_error(code: str) -> None:
    lines: list[str] = []
    with lock(FakeAws({"PutObject": {"ETag": '"mine"'}, "DeleteObject": refusal(code)}), lines):
        pass
    assert lines == []


@pytest.mark.parametrize(
    ("holder", "age", "living", "gone"),
    [
        (OTHER, 10, False, False),  # of another machine nothing is known but the age
        (OTHER, 181, True, True),
        (Holder(host="here", pid=7), 1, False, True),
        (Holder(host="here", pid=7), 1, True, False),
        (Holder(), 1, False, False),
    ],
)
def test_a_holder_is_gone_when_its_process_ended_or_its_lock_is_stale(
    holder: Holder, age: float, living: bool, gone: bool
) -> None:
    assert is_gone(Held(holder=holder, etag="", age=age), ME, lambda _: living) is gone
