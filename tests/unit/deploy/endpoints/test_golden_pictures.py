"""Golden pictures are read from a job's output and sent to each variant; a version that fails them is rolled back."""

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


def test_golden_pictures_are_read_from_the_output_of_the_job(golden: Golden) -> None:
    aws = FakeAws({"GetObject": lambda _: body(archive(ORANGE))})
    assert fetch(artifact("train-1"), aws) == (ORANGE,)
    golden("golden-pictures", aws.sent[0])
    assert aws.sent[0].params["Key"] == "jobs/train-1/output/output.tar.gz"
    assert fetch(artifact("train-0"), FakeAws({"GetObject": GONE})) == ()


def test_a_damaged_output_is_refused_with_its_uri() -> None:
    with pytest.raises(DeployError, match=r"jobs/train-1/output/output.tar.gz: its golden pictures cannot be read"):
        fetch(artifact("train-1"), FakeAws({"GetObject": lambda _: body(archive(ORANGE)[:50])}))


@pytest.mark.parametrize(("answer", "count"), [([[0.9, 0.1]], 0), ([[0.5, 0.5]], 1), ([], 1), ({"error": "x"}, 1)])
def test_an_answer_that_differs_or_cannot_be_read_is_wrong(answer: Any, count: int) -> None:
    assert len(disagreements([ORANGE], lambda _: answer, 0.02)) == count


def test_a_model_error_counts_as_a_wrong_answer_and_an_aws_error_is_raised() -> None:
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


def moved(replies: dict[str, Reply | list[Reply]]) -> tuple[Session, FakeAws, io.StringIO]:
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
    output = io.StringIO()
    session = Session(
        settings=settings_of(""), call=aws, build=lambda kind: f"kennel/{kind}:1", screen=Screen(out=output),
        clock=FakeTime().clock(),
    )  # fmt: skip
    return session, aws, output


def test_a_version_that_answers_them_as_in_training_stays() -> None:
    session, aws, output = moved({"InvokeEndpoint": lambda _: body(b"[[0.9, 0.1]]")})
    verify(session, NEW)
    assert "UpdateEndpoint" not in aws.operations
    assert "1 golden pictures answered as in training" in output.getvalue()


def test_a_version_that_answers_otherwise_is_rolled_back_and_the_command_fails() -> None:
    session, aws, output = moved({"InvokeEndpoint": lambda _: body(b"[[0.2, 0.8]]")})
    message = (
        rf"(?s)golden picture of Orange: .*rolled back: kennel-local runs {OLD.config} again; ./inv logs kennel-local"
    )
    with pytest.raises(DeployError, match=message):
        verify(session, NEW)
    update = next(request for request in aws.sent if request.operation == "UpdateEndpoint")
    assert update.params["EndpointConfigName"] == OLD.config
    assert "back to kennel/serve:1 with" in output.getvalue()


def test_a_later_deploy_asks_golden_pictures_that_were_never_answered() -> None:
    session, aws, _ = moved({"InvokeEndpoint": lambda _: body(b"[[0.9, 0.1]]")})
    assert is_unproven(session, NEW)
    verify(session, NEW)
    noted = aws.sent[-1].params["Tags"]
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    assert not is_unproven(moved({"ListTags": {"Tags": [*tags, *noted]}})[0], NEW)


@pytest.mark.parametrize("text", ["[endpoint]\nkind = 'async'", "[endpoint.rollout]\ngolden = false"])
def test_async_endpoints_and_those_without_golden_are_not_asked(text: str) -> None:
    session, aws, _ = moved({})
    session.settings = settings_of(text)
    assert not is_unproven(session, endpoint_of(text))
    assert aws.sent == []


def test_an_async_answer_is_polled_for_and_a_failure_is_raised(golden: Golden) -> None:
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
