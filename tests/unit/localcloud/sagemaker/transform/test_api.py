"""Transform jobs over serving containers in memory."""

from collections.abc import Mapping
from typing import Any

import pytest

from localcloud.containers.http import Response
from localcloud.errors import ApiError
from localcloud.sagemaker.transform.api import Transforms
from tests.unit.localcloud.fakes import FakeLogs
from tests.unit.localcloud.sagemaker.hosting.fakes import Served, ServingEngine
from tests.unit.localcloud.sagemaker.hosting.fixtures import Fakes
from tests.unit.localcloud.sagemaker.transform.test_request import request


def echo(_: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """Answers upper case, and refuses what says so."""
    if path == "/execution-parameters":
        return Response(status=200, headers={}, body=b'{"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 1}')
    status = {b"bad": 400, b"sick": 500}.get(body, 200)
    return Response(status=status, headers={}, body=body.upper())


class Bench:
    """Transform jobs on a bucket `data` with pictures below in/."""

    def __init__(self, serve: Any = echo, **objects: bytes) -> None:
        self.fakes = Fakes(engine=ServingEngine(serve))
        self.fakes.model()
        self.fakes.objects.buckets.add("data")
        for name, content in objects.items():
            self.fakes.objects.content["data", f"in/{name}"] = content
        self.waits: list[float] = []
        self.jobs = Transforms(
            cloud=self.fakes.cloud, catalogue=self.fakes.catalogue, host=self.fakes.endpoints.host,
            spawn=self.fakes.later.spawn, pause=self.waits.append,
        )  # fmt: skip

    def run(self, **changes: Any) -> dict[str, Any]:
        self.jobs.create(request(ModelClientConfig={"InvocationsMaxRetries": 0}) | changes)
        self.fakes.later.run()
        return self.jobs.describe({"TransformJobName": "t-1"})

    def outputs(self) -> dict[str, bytes]:
        content = self.fakes.objects.content
        return {key: value for (_, key), value in content.items() if key.startswith("out/")}


def test_every_object_is_answered_beside_its_name() -> None:
    bench = Bench(a=b"one", b=b"two")
    found = bench.run(TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    assert found["TransformJobStatus"] == "Completed"
    assert found["TransformEndTime"] >= found["TransformStartTime"]
    assert bench.outputs() == {"out/a.out": b"ONE", "out/b.out": b"TWO"}
    assert bench.fakes.engine.served == {}
    spec = bench.fakes.engine.specs[0]
    assert spec.environment["SAGEMAKER_BATCH"] == "true"
    assert spec.labels == {"kennel.transform": "t-1"}


def test_lines_are_sent_one_by_one_and_put_together_again() -> None:
    bench = Bench(a=b"x\ny\n")
    given = request()["TransformInput"] | {"SplitType": "Line"}
    bench.run(
        TransformInput=given,
        BatchStrategy="SingleRecord",
        TransformOutput={"S3OutputPath": "s3://data/out", "AssembleWith": "Line"},
    )
    assert bench.outputs() == {"out/a.out": b"X\n\nY\n\n"}


@pytest.mark.parametrize(("content", "whose"), [(b"bad", "ClientError"), (b"sick", "AlgorithmError")])
def test_a_bad_object_fails_the_job_and_spares_the_others(content: bytes, whose: str) -> None:
    bench = Bench(a=content, b=b"two")
    found = bench.run()
    assert found["TransformJobStatus"] == "Failed"
    assert found["FailureReason"].startswith(f"{whose}: See job logs for more information")
    assert bench.outputs() == {"out/b.out": b"TWO"}
    logs = bench.fakes.cloud.logs
    assert isinstance(logs, FakeLogs)
    logged = [line for name, lines in logs.streams.items() if name.endswith("/data-log") for line in lines]
    assert logged[0].startswith("s3://data/in/a: Bad HTTP status received from algorithm")


def test_a_described_job_has_what_aws_fills_in() -> None:
    found = Bench(a=b"one").run()
    assert (found["TransformInput"]["CompressionType"], found["TransformInput"]["SplitType"]) == ("None", "None")
    assert (found["TransformOutput"]["AssembleWith"], found["TransformOutput"]["KmsKeyId"]) == ("None", "")
    assert found["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}


def test_what_may_pass_is_asked_again() -> None:
    answers = iter([503, 429, 200])

    def later(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        if method == "GET":
            return Response(status=200 if path == "/ping" else 404, headers={}, body=b"")
        return Response(status=next(answers), headers={}, body=b"well")

    bench = Bench(later, a=b"one")
    bench.jobs.create(request())
    bench.fakes.later.run()
    answer = bench.jobs.describe({"TransformJobName": "t-1"})
    assert (answer["TransformJobStatus"], bench.waits) == ("Completed", [0.4, 0.8])


def test_a_stopped_job_asks_no_more() -> None:
    bench = Bench(a=b"one")
    bench.jobs.create(request())
    bench.jobs.stop({"TransformJobName": "t-1"})
    assert bench.jobs.describe({"TransformJobName": "t-1"})["TransformJobStatus"] == "Stopping"
    bench.fakes.later.run()
    assert bench.jobs.describe({"TransformJobName": "t-1"})["TransformJobStatus"] == "Stopped"
    assert bench.outputs() == {}
    with pytest.raises(ApiError, match="in status Stopped"):
        bench.jobs.stop({"TransformJobName": "t-1"})


def test_a_prefix_without_objects_fails_and_starts_nothing() -> None:
    bench = Bench()
    found = bench.run()
    assert "No S3 objects found" in found["FailureReason"]
    assert bench.fakes.engine.specs == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ModelName": "none"}, "Could not find model"),
        ({"TransformOutput": {"S3OutputPath": "s3://nowhere/out"}}, "The specified bucket does not exist"),
    ],
)
def test_what_leads_nowhere_is_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        Bench(a=b"one").run(**changes)


def test_a_name_can_be_used_once_and_jobs_are_listed() -> None:
    bench = Bench(a=b"one")
    bench.run()
    with pytest.raises(ApiError, match="must be unique"):
        bench.jobs.create(request())
    assert bench.jobs.list({"StatusEquals": "Failed"})["TransformJobSummaries"] == []
    listed = bench.jobs.list({"SortBy": "Status"})["TransformJobSummaries"]
    assert [each["TransformJobName"] for each in listed] == ["t-1"]
