"""Batch transform: its request as a golden file, what is refused, and answers as a table."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.commands import transform as command
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DataError, DeployError, JobError
from deploy.jobs import transform as jobs
from deploy.jobs.lifecycle import JobStatus
from deploy.jobs.transform import Answer, Pictures
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime

BUCKET = "s3://kennel-local-123456789012-us-east-1"
NAME = "kennel-local-transform-0123abcd"
MIB = 1024**2


def pictures(**sizes: int) -> Pictures:
    return Pictures(uri=f"{BUCKET}/transform/in/x/", sizes=sizes or {"a.jpg": 1000, "b.jpg": 2000}, hash="h")


def request(settings: Settings, given: Pictures) -> Any:
    return jobs.create(
        settings, name=NAME, model="kennel-local-m", pictures=given, instance_type="ml.m5.large", instance_count=2
    )


def test_the_request_is_as_the_golden_file_says(settings: Settings, golden: Golden) -> None:
    golden("pictures", request(settings, pictures()), rules=(43,))
    golden("large-pictures", request(settings, pictures(a=30 * MIB)), rules=(43,))


def test_the_requests_about_a_transform_job_are_as_the_golden_files_say(golden: Golden) -> None:
    aws = FakeAws({"DescribeTransformJob": {"TransformJobStatus": "InProgress"}})
    jobs.describe(NAME, aws)
    for sent in (*aws.sent, jobs.stop(NAME)):
        golden("transform", sent)


@pytest.mark.parametrize(("megabytes", "payload", "at_once"), [(1, 6, 12), (8, 8, 12), (9, 9, 11), (100, 100, 1)])
def test_payload_and_requests_at_once_stay_within_100_mb(
    settings: Settings, megabytes: int, payload: int, at_once: int
) -> None:
    params = request(settings, pictures(a=megabytes * MIB)).params
    assert (params["MaxPayloadInMB"], params["MaxConcurrentTransforms"]) == (payload, at_once)


def test_a_picture_too_large_is_refused(settings: Settings) -> None:
    with pytest.raises(DataError, match="a: 101 MB, but batch transform takes 100"):
        request(settings, pictures(a=101 * MIB, b=1))


def test_the_name_follows_from_model_and_pictures(settings: Settings) -> None:
    names = {jobs.name_of(settings, model, pictures()) for model in ("m", "n")}
    assert len(names) == 2
    assert names == {jobs.name_of(settings, model, pictures()) for model in ("m", "n")}


ANSWER = {
    "predictions": [{"top": [{"label": "pug", "probability": 0.75}, {"label": "beagle, small", "probability": 0.2}]}]
}


def test_answers_become_a_table_and_csv() -> None:
    answers = [jobs.answer("x/a.jpg", json.dumps(ANSWER).encode())]
    assert jobs.table(answers) == [("x/a.jpg", "pug", "0.7500")]
    assert jobs.as_csv(answers) == (
        'picture,label,probability,label_2,probability_2\nx/a.jpg,pug,0.75,"beagle, small",0.2\n'
    )
    assert jobs.as_csv([]) == "picture,label,probability\n"


def test_pictures_without_an_answer_are_named(settings: Settings) -> None:
    aws = FakeAws(
        {
            "ListObjectsV2": {"Contents": [{"Key": f"transform/out/{NAME}/a.jpg.out"}]},
            "GetObject": lambda _: {"Body": io.BytesIO(json.dumps(ANSWER).encode())},
        }
    )
    answers, missing = jobs.answers(settings, NAME, ["b.jpg", "a.jpg"], aws)
    assert [each.picture for each in answers] == ["a.jpg"]
    assert isinstance(answers[0], Answer)
    assert missing == ["b.jpg"]


def session(settings: Settings, aws: FakeAws) -> Session:
    out = Screen(out=io.StringIO())
    return Session(settings=settings, call=aws, build=lambda kind: kind, screen=out, clock=FakeTime().clock())


@pytest.mark.parametrize(
    ("source", "keys", "message"),
    [
        ("s3://other/x", [], "the endpoint's role may read"),
        (f"{BUCKET}/data/groceries", [], "the endpoint's role may read"),
        (f"{BUCKET}/transform/in/x", [], "holds no objects"),
        (f"{BUCKET}/transform/in/x", ["a.jpg", "notes.txt"], "notes.txt is not a picture"),
    ],
)
def test_a_prefix_that_cannot_be_read_or_holds_other_things_is_refused(
    settings: Settings, source: str, keys: list[str], message: str
) -> None:
    contents = [{"Key": f"transform/in/x/{key}", "Size": 1, "ETag": "e"} for key in keys]
    with pytest.raises(DataError, match=message):
        command.pictures_below(session(settings, FakeAws({"ListObjectsV2": {"Contents": contents}})), source)


def test_the_pictures_of_a_prefix_are_named_by_their_path_below_it(settings: Settings) -> None:
    contents = [{"Key": f"transform/in/x/{key}", "Size": 7, "ETag": "e"} for key in ("a.jpg", "sub/b.png")]
    listed = command.pictures_below(
        session(settings, FakeAws({"ListObjectsV2": {"Contents": contents}})), f"{BUCKET}/transform/in/x"
    )
    assert listed.uri == f"{BUCKET}/transform/in/x/"
    assert listed.sizes == {"a.jpg": 7, "sub/b.png": 7}


def test_invalid_options_are_refused_before_the_first_request(settings: Settings) -> None:
    aws = FakeAws()
    with pytest.raises(DeployError, match="other: unknown endpoint; choose one of main"):
        command.transform(session(settings, aws), "s3://x", endpoint="other")
    with pytest.raises(DataError, match="--instances: 0"):
        command.transform(session(settings, aws), "s3://x", instances=0)
    with pytest.raises(DataError, match="holds no pictures"):
        command.transform(session(settings, aws), str(Path(__file__).parents[1] / "golden"))
    assert aws.sent == []


def test_a_failed_job_keeps_its_answers_and_gives_the_reason() -> None:
    some = command.Transformed(name=NAME, answers=(Answer(picture="a", predictions=(("pug", 1.0),)),), missing=("b",))
    none = command.Transformed(name=NAME, answers=(), missing=("a", "b"))
    failed = JobStatus(status="Failed", failure_reason="ClientError: See job logs")
    assert command.concluded(JobStatus(status="Completed"), some, "") == some
    assert command.concluded(failed, some, "b: 422").reason == "ClientError: See job logs\nb: 422"
    with pytest.raises(JobError, match="Failed: ClientError: See job logs"):
        command.concluded(failed, none, "b: 422")
    with pytest.raises(JobError, match="Stopped: it was stopped"):
        command.concluded(JobStatus(status="Stopped"), some, "")
