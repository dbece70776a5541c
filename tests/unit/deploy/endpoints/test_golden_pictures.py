"""Golden pictures are fetched from a job's output, asked of each variant, and a wrong version goes back."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from contract.golden import Golden as Picture
from contract.golden import dumps
from deploy.commands.deploy import is_unproven, verify
from deploy.console import Screen
from deploy.endpoints.golden import disagreements, fetch
from deploy.endpoints.invoke import PROBABILITIES, Question, ask_later
from deploy.errors import DeployError
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.endpoints.fixtures import ARN, TAGS, artifact, endpoint_of, settings_of
from tests.unit.deploy.fakes import FakeAws, FakeTime, Reply, refusal

ORANGE = Picture(label="Orange", picture=b"jpeg", probabilities=(0.9, 0.1))
OLD, NEW = endpoint_of(""), endpoint_of("", image="kennel/serve:2")
GONE = refusal("NoSuchKey")


def body(content: bytes) -> dict[str, Any]:
    return {"Body": io.BytesIO(content)}


def archive(*pictures: Picture) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in (("report.html", "<html>"), ("./golden.json", dumps(pictures))):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_they_lie_beside_the_report_of_the_job(golden: Golden) -> None:
    aws = FakeAws({"GetObject": lambda _: body(archive(ORANGE))})
    assert fetch(artifact("train-1"), aws) == (ORANGE,)
    golden("golden-pictures", aws.sent[0])
    assert aws.sent[0].params["Key"] == "jobs/train-1/output/output.tar.gz"
    assert fetch(artifact("train-0"), FakeAws({"GetObject": GONE})) == ()


def test_an_output_that_is_torn_says_which() -> None:
    with pytest.raises(DeployError, match=r"jobs/train-1/output/output.tar.gz: its golden pictures cannot be read"):
        fetch(artifact("train-1"), FakeAws({"GetObject": lambda _: body(archive(ORANGE)[:50])}))


@pytest.mark.parametrize(("answer", "count"), [([[0.9, 0.1]], 0), ([[0.5, 0.5]], 1), ([], 1), ({"error": "x"}, 1)])
def test_an_answer_that_differs_or_cannot_be_read_is_wrong(answer: Any, count: int) -> None:
    assert len(disagreements([ORANGE], lambda _: answer, 0.02)) == count


def test_a_model_that_fails_on_one_is_wrong_and_an_aws_that_fails_is_not() -> None:
    def failing(code: str) -> Any:
        def answer(_: Picture) -> Any:
            raise refusal(code, "Received server error (500) from primary")

        return answer

    (wrong,) = disagreements([ORANGE], failing("ModelError"), 0.02)
    assert wrong == "the golden picture of Orange: Received server error (500) from primary"
    with pytest.raises(DeployError, match="ServiceUnavailable"):
        disagreements([ORANGE], failing("ServiceUnavailable"), 0.02)


def test_questions_are_requests_that_aws_takes(golden: Golden) -> None:
    question = Question(endpoint="kennel-local", picture=b"jpeg", variant="main", accept=PROBABILITIES)
    golden("ask", question.request, rules=(31,))
    golden("ask", question.later("s3://bucket/async/main/in/1"), rules=(42,))


def desk(replies: dict[str, Reply | list[Reply]]) -> tuple[Session, FakeAws, io.StringIO]:
    """A session whose endpoint was moved from OLD to NEW."""
    past = f"{OLD.config.rpartition('-')[2]} {NEW.config.rpartition('-')[2]}"
    tags = [{"Key": key, "Value": value} for key, value in {**TAGS, "kennel:history": past}.items()]
    now = {"EndpointArn": ARN, "EndpointStatus": "InService", "EndpointConfigName": NEW.config}
    back = {**now, "EndpointConfigName": OLD.config}
    variant = {"VariantName": "main", "ModelName": "m", "InstanceType": "ml.m5.large"}
    aws = FakeAws(
        {
            "ListTags": {"Tags": tags},
            "DescribeEndpoint": [now, back],
            "DescribeEndpointConfig": {"ProductionVariants": [variant]},
            "DescribeModel": {"PrimaryContainer": {"Image": "kennel/serve:1", "ModelDataUrl": artifact("train-1")}},
            "HeadBucket": refusal("404"),
            "GetObject": lambda _: body(archive(ORANGE)),
            "PutObject": {"ETag": "1"},
            **replies,
        }
    )
    said = io.StringIO()
    session = Session(
        settings=settings_of(""), call=aws, build=lambda kind: f"kennel/{kind}:1", screen=Screen(out=said),
        clock=FakeTime().clock(),
    )  # fmt: skip
    return session, aws, said


def test_a_version_that_repeats_them_stays() -> None:
    session, aws, said = desk({"InvokeEndpoint": lambda _: body(b"[[0.9, 0.1]]")})
    verify(session, NEW)
    assert "UpdateEndpoint" not in aws.operations
    assert "1 golden pictures answered as in training" in said.getvalue()


def test_a_version_that_does_not_goes_back_and_the_command_fails_saying_so() -> None:
    session, aws, said = desk({"InvokeEndpoint": lambda _: body(b"[[0.2, 0.8]]")})
    told = (
        rf"(?s)golden picture of Orange: .*rolled back: kennel-local runs {OLD.config} again; ./inv logs kennel-local"
    )
    with pytest.raises(DeployError, match=told):
        verify(session, NEW)
    update = next(request for request in aws.sent if request.operation == "UpdateEndpoint")
    assert update.params["EndpointConfigName"] == OLD.config
    assert "back to kennel/serve:1 with" in said.getvalue()


def test_they_are_asked_until_they_were_answered_once_even_by_a_later_deploy() -> None:
    session, aws, _ = desk({"InvokeEndpoint": lambda _: body(b"[[0.9, 0.1]]")})
    assert is_unproven(session, NEW)
    verify(session, NEW)
    noted = aws.sent[-1].params["Tags"]
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    assert not is_unproven(desk({"ListTags": {"Tags": [*tags, *noted]}})[0], NEW)


@pytest.mark.parametrize("text", ["[endpoint]\nkind = 'async'", "[endpoint.rollout]\ngolden = false"])
def test_what_is_async_or_not_to_be_asked_is_not(text: str) -> None:
    session, aws, _ = desk({})
    session.settings = settings_of(text)
    assert not is_unproven(session, endpoint_of(text))
    assert aws.sent == []


def test_an_async_answer_is_waited_for_and_a_failure_told(golden: Golden) -> None:
    question = Question(endpoint="e", picture=b"jpeg")
    places = {
        "OutputLocation": "s3://kennel-local-123456789012-us-east-1/async/main/out/1.out",
        "FailureLocation": "s3://kennel-local-123456789012-us-east-1/async/main/failed/1.out",
    }

    def replies(*found: Reply) -> FakeAws:
        return FakeAws({"InvokeEndpointAsync": places, "GetObject": list(found)})

    answered = replies(GONE, GONE, body(json.dumps([1]).encode()))
    assert ask_later(
        question, answered, folder="s3://kennel-local-123456789012-us-east-1/async/main", clock=FakeTime().clock()
    ) == [1]
    assert answered.operations == ["PutObject", "InvokeEndpointAsync", *["GetObject"] * 3]
    golden("async-request", answered.sent[0], rules=(42,))
    golden("async-answer", answered.sent[-1], rules=(42,))
    failed = replies(GONE, body(b"out of memory"))
    with pytest.raises(DeployError, match="e: out of memory"):
        ask_later(
            question, failed, folder="s3://kennel-local-123456789012-us-east-1/async/main", clock=FakeTime().clock()
        )
    with pytest.raises(DeployError, match="no answer within 900 s"):
        ask_later(
            question,
            replies(GONE),
            folder="s3://kennel-local-123456789012-us-east-1/async/main",
            clock=FakeTime().clock(),
        )
