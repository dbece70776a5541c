"""The server on a real port: boto3 reaches localcloud's and moto's operations, and gets errors as AWS sends them."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws_client import client
from localcloud.cloudwatch.logs import CloudWatchLogs
from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import PassToMoto, Service
from localcloud.s3 import Location, S3Objects


def _describe(params: dict[str, Any]) -> dict[str, Any]:
    if params["TrainingJobName"] == "broken":
        raise RuntimeError("a bug")
    raise ApiError("ValidationException", "Requested resource not found.")


def _list_tags(params: dict[str, Any]) -> dict[str, Any]:
    raise PassToMoto


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    service = Service(
        name="sagemaker",
        handlers={"DescribeTrainingJob": _describe, "ListTags": _list_tags, "StopTrainingJob": lambda _: {}},
        local={"POST training-jobs/{name}/interrupt": lambda labels: {"interrupted": labels["name"]}},
    )
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([service], region="us-east-1", health=lambda: {"instance": "lc-test"}))
    listener.start()
    yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    listener.stop()


@pytest.fixture
def aws(url: str) -> Callable[[str], Any]:
    return lambda service: client(service, url, "us-east-1")


def test_health_and_local_routes_answer_without_a_signature(url: str) -> None:
    with urllib.request.urlopen(f"{url}/_localcloud/health", timeout=5) as answer:
        assert json.load(answer) == {"instance": "lc-test"}
    request = urllib.request.Request(f"{url}/_localcloud/training-jobs/a%20b/interrupt", method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert json.load(answer) == {"interrupted": "a b"}
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{url}/_localcloud/nothing", timeout=5)
    missing.value.close()


def test_one_client_reaches_localclouds_and_motos_operations(aws: Callable[[str], Any]) -> None:
    sagemaker = aws("sagemaker")
    assert sagemaker.stop_training_job(TrainingJobName="j")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert sagemaker.list_models()["Models"] == []
    assert aws("sts").get_caller_identity()["Account"] == "123456789012"


def test_an_error_of_a_handler_reaches_the_client(aws: Callable[[str], Any]) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as caught:
        aws("sagemaker").describe_training_job(TrainingJobName="j")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_a_bug_in_a_handler_is_a_500_that_says_so(aws: Callable[[str], Any], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClientError, match="localcloud has a bug in sagemaker DescribeTrainingJob: RuntimeError: a bug"):
        aws("sagemaker").describe_training_job(TrainingJobName="broken")
    assert "RuntimeError: a bug" in capfd.readouterr().err


def test_moto_answers_a_request_that_a_handler_passes_to_it(aws: Callable[[str], Any]) -> None:
    sagemaker = aws("sagemaker")
    arn = sagemaker.create_model_package_group(ModelPackageGroupName="g", Tags=[{"Key": "a", "Value": "b"}])
    assert sagemaker.list_tags(ResourceArn=arn["ModelPackageGroupArn"])["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_request_that_goes_to_moto_is_validated_too(aws: Callable[[str], Any]) -> None:
    with pytest.raises(ClientError, match="Member must satisfy regular expression pattern"):
        aws("lambda").get_function(FunctionName="not a name!")
    with pytest.raises(ClientError, match="enum value set"):
        aws("application-autoscaling").describe_scalable_targets(ServiceNamespace="toaster")


def test_another_region_is_refused_with_the_fix(url: str) -> None:
    with pytest.raises(ClientError, match="AWS_REGION=us-east-1"):
        client("sagemaker", url, "eu-west-1").list_training_jobs()


def test_objects_of_any_name_go_in_and_come_out(url: str, tmp_path: Path) -> None:
    objects = S3Objects(url, "us-east-1")
    assert not objects.bucket_exists("pictures")
    client("s3", url, "us-east-1").create_bucket(Bucket="pictures")
    assert objects.bucket_exists("pictures")
    names = ["in/001.Affenpinscher/a b+c.jpg", "in/größe.jpg", "other/x"]
    for name in names:
        objects.put(Location(bucket="pictures", key=name), name.encode())
    listed = objects.list(Location(bucket="pictures", key="in/"))
    assert [entry.key for entry in listed] == sorted(names[:2])
    for entry in listed:
        objects.download(Location(bucket="pictures", key=entry.key), tmp_path / "deep" / entry.key)
        assert (tmp_path / "deep" / entry.key).read_bytes() == entry.key.encode()
    objects.delete(Location(bucket="pictures", key=names[0]))
    assert objects.get(Location(bucket="pictures", key=names[0])) is None
    assert objects.get(Location(bucket="nowhere", key="x")) is None


def test_log_lines_are_found_in_cloudwatch_logs_in_order(url: str) -> None:
    from datetime import UTC, datetime

    sink = CloudWatchLogs(url, "us-east-1")
    now = datetime.now(UTC)
    sink.write("/aws/test", "s", [(now, "one"), (now, ""), (now, "three")])
    sink.write("/aws/test", "s", [(now, "four")])
    sink.write("/aws/gone", "s", [(now, "lost")])
    client("logs", url, "us-east-1").delete_log_group(logGroupName="/aws/gone")
    sink.write("/aws/gone", "s", [(now, "found")])
    recreated = client("logs", url, "us-east-1").filter_log_events(logGroupName="/aws/gone")["events"]
    assert [event["message"] for event in recreated] == ["found"]
    events = client("logs", url, "us-east-1").get_log_events(
        logGroupName="/aws/test", logStreamName="s", startFromHead=True
    )
    assert [event["message"] for event in events["events"]] == ["one", " ", "three", "four"]


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalcloudError, match=f"cannot listen on port {port} of 127.0.0.1"):
            bind(port, ["127.0.0.1"])


def test_bind_skips_an_address_that_this_machine_does_not_have() -> None:
    sockets = bind(0, ["127.0.0.1", "203.0.113.7"])
    try:
        assert len(sockets) == 1
    finally:
        for bound in sockets:
            bound.close()


def test_one_of_many_concurrent_conditional_writes_of_an_object_wins(
    aws: Callable[[str], Any],
) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="conditional")

    def write(key: str) -> bool:
        try:
            s3.put_object(Bucket="conditional", Key=key, Body=b"x", IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        for key in map(str, range(12)):
            assert sum(pool.map(write, [key] * 16)) == 1
