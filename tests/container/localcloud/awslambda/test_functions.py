"""Lambda image functions under the real Runtime Interface Emulator, through boto3 and its waiters."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

import docker
from tests.container.localcloud.sagemaker.hosting_support import ROLE, RUNTIME, Running, build, running

IMAGE = "kennel-test/functions:latest"
WAIT = {"Delay": 1, "MaxAttempts": 60}


@pytest.fixture(scope="module")
def image() -> str:
    client = docker.from_env()
    try:
        dockerfile = (
            'FROM {base}\nCOPY runtime.py /runtime.py\nENTRYPOINT ["python3", "/runtime.py"]\nCMD ["handler"]\n'
        )
        return build(client, IMAGE, dockerfile, **{"runtime.py": RUNTIME})
    finally:
        client.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("functions")) as cloud:
        yield cloud


class User:
    """Creates, updates and calls functions through boto3."""

    def __init__(self, cloud: Running) -> None:
        self.cloud = cloud
        self.api = cloud.client("lambda", read_timeout=60)

    def function(self, name: str, **settings: Any) -> dict[str, Any]:
        made = self.api.create_function(
            FunctionName=name, PackageType="Image", Code={"ImageUri": IMAGE}, Role=ROLE, **settings
        )
        self.api.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)
        return dict(made)

    def updated(self, name: str) -> None:
        self.api.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=WAIT)

    def call(self, name: str, event: Any = None, **extra: Any) -> tuple[Any, dict[str, Any]]:
        answer = self.api.invoke(FunctionName=name, Payload=json.dumps(event or {}), **extra)
        return json.loads(answer["Payload"].read() or b"null"), answer


@pytest.fixture
def user(cloud: Running, image: str) -> User:
    return User(cloud)


def test_a_function_runs_unprivileged_on_a_read_only_root_with_lambdas_environment(user: User, cloud: Running) -> None:
    made = user.function("plain", Timeout=7, MemorySize=256, Environment={"Variables": {"MY_SETTING": "x"}})
    assert made["State"] == "Pending"
    result, answer = user.call("plain", {"a": 1}, LogType="Tail")
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert result["event"] == {"a": 1}
    assert result["writable"] is False
    assert result["uid"] != 0
    assert result["argv"] == ["handler"]
    environment = result["env"]
    assert environment["MY_SETTING"] == "x"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "plain"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"].startswith("http://")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert 'event {"a": 1}' in tail
    assert "REPORT RequestId" in tail
    assert "(rapid)" not in tail
    again, _ = user.call("plain")
    assert again["calls"] == 2
    assert len(cloud.containers(kennel__function="plain")) == 1
    user.api.delete_function(FunctionName="plain")
    assert cloud.containers(kennel__function="plain") == []


def test_raised_errors_exits_and_timeouts_are_function_errors_and_the_function_recovers(user: User) -> None:
    user.function("fails", Timeout=1)
    result, answer = user.call("fails", {"raise": "boom"})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert result == {"errorMessage": "boom", "errorType": "ValueError"}
    result, answer = user.call("fails", {"exit": 3})
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorType"] == "Runtime.ExitError"
    result, answer = user.call("fails", {"sleep": 5})
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 1.00 seconds" in result["errorMessage"]
    result, answer = user.call("fails", {"fine": True})
    assert "FunctionError" not in answer
    assert result["event"] == {"fine": True}
    with pytest.raises(ClientError, match="RequestTooLargeException"):
        user.api.invoke(FunctionName="fails", Payload=b'"' + b"x" * 6_291_455 + b'"')
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        user.api.invoke(FunctionName="fails", Payload=b"not json")
    user.api.delete_function(FunctionName="fails")


def test_beyond_the_reserved_concurrency_calls_are_throttled_with_429(user: User, cloud: Running) -> None:
    user.function("busy", Timeout=20)
    user.api.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=2)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(user.call, "busy", {"sleep": 3}) for _ in range(4)]
    refused = [call.exception() for call in calls if call.exception()]
    served = {call.result()[0]["host"] for call in calls if not call.exception()}
    assert len(served) == 2
    assert len(refused) == 2
    for error in refused:
        assert isinstance(error, ClientError)
        assert error.response["Error"]["Code"] == "TooManyRequestsException"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    user.api.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        user.call("busy")
    user.api.delete_function_concurrency(FunctionName="busy")
    assert user.call("busy")[1]["StatusCode"] == 200
    user.api.delete_function(FunctionName="busy")
    assert cloud.containers(kennel__function="busy") == []


def test_versions_aliases_and_provisioned_concurrency(user: User, cloud: Running) -> None:
    user.function("versions", Environment={"Variables": {"MY_RELEASE": "1"}})
    assert user.api.publish_version(FunctionName="versions")["Version"] == "1"
    user.api.get_waiter("published_version_active").wait(FunctionName="versions", Qualifier="1", WaiterConfig=WAIT)
    assert user.api.publish_version(FunctionName="versions")["Version"] == "1"  # nothing changed
    user.api.create_alias(FunctionName="versions", Name="live", FunctionVersion="1")
    changed = user.api.update_function_configuration(
        FunctionName="versions", Environment={"Variables": {"MY_RELEASE": "2"}}
    )
    assert changed["LastUpdateStatus"] == "InProgress"
    user.updated("versions")
    assert user.call("versions")[0]["env"]["MY_RELEASE"] == "2"
    result, answer = user.call("versions", Qualifier="live")
    assert result["env"]["MY_RELEASE"] == "1"
    assert answer["ExecutedVersion"] == "1"

    user.api.put_function_concurrency(FunctionName="versions", ReservedConcurrentExecutions=3)
    with pytest.raises(ClientError, match="should not be greater than the reserved"):
        user.api.put_provisioned_concurrency_config(
            FunctionName="versions", Qualifier="live", ProvisionedConcurrentExecutions=4
        )
    with pytest.raises(ClientError, match="unpublished"):
        user.api.put_provisioned_concurrency_config(
            FunctionName="versions", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1
        )
    user.api.put_provisioned_concurrency_config(
        FunctionName="versions", Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    for _ in range(100):
        config = user.api.get_provisioned_concurrency_config(FunctionName="versions", Qualifier="live")
        if config["Status"] == "READY":
            break
        time.sleep(0.1)
    assert config["AvailableProvisionedConcurrentExecutions"] == 2
    assert len(cloud.containers(kennel__function="versions", kennel__version="1")) == 2
    user.api.delete_function(FunctionName="versions")
    assert cloud.containers(kennel__function="versions") == []


@pytest.mark.parametrize("gone", ["function", "configuration"])
def test_what_is_deleted_while_its_environments_start_leaves_no_container(
    user: User, cloud: Running, gone: str
) -> None:
    name = f"short-lived-{gone}"
    user.function(name)
    version = user.api.publish_version(FunctionName=name)["Version"]
    warm = {"FunctionName": name, "Qualifier": version}
    for pause in (0.0, 0.3):
        user.api.put_provisioned_concurrency_config(**warm, ProvisionedConcurrentExecutions=3)
        time.sleep(pause)
        if gone == "configuration":
            user.api.delete_provisioned_concurrency_config(**warm)
    if gone == "function":
        user.api.delete_function(FunctionName=name)
    time.sleep(4)  # longer than three environments take to start
    assert cloud.containers(kennel__function=name) == []


def test_an_image_configuration_sets_the_working_directory(user: User) -> None:
    user.function("placed", ImageConfig={"WorkingDirectory": "/tmp"})
    assert user.call("placed")[0]["cwd"] == "/tmp"
    user.api.update_function_configuration(FunctionName="placed", ImageConfig={})
    user.updated("placed")
    assert user.call("placed")[0]["cwd"] == "/"
    user.api.delete_function(FunctionName="placed")


def test_a_function_url_serves_the_function_over_plain_http(user: User, cloud: Running) -> None:
    user.function("web")
    url = user.api.create_function_url_config(FunctionName="web", AuthType="NONE")["FunctionUrl"]
    assert requests.get(url, timeout=30).status_code == 403
    everybody = {"FunctionName": "web", "Principal": "*"}
    user.api.add_permission(
        StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **everybody
    )
    user.api.add_permission(
        StatementId="function", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **everybody
    )
    picture = requests.post(f"{url}a/b?x=1", data=b"\xff\xd8", headers={"Content-Type": "image/jpeg"}, timeout=30)
    assert picture.status_code == 200
    event = picture.json()["event"]
    assert (event["rawPath"], event["queryStringParameters"], event["isBase64Encoded"]) == ("/a/b", {"x": "1"}, True)
    assert base64.b64decode(event["body"]) == b"\xff\xd8"
    user.api.delete_function(FunctionName="web")


def test_kennels_own_lambda_image_runs_and_calls_its_endpoint(user: User, cloud: Running) -> None:
    tags = [tag for image in cloud.docker.images.list("kennel/lambda") for tag in image.tags]
    if not tags:
        raise RuntimeError("no kennel/lambda image: ./inv build")
    user.api.create_function(
        FunctionName="kennel", PackageType="Image", Code={"ImageUri": tags[0]}, Role=ROLE, Timeout=20, MemorySize=512,
        Environment={"Variables": {"KENNEL_ENDPOINT_NAME": "nothing-here"}},
    )  # fmt: skip
    user.api.get_waiter("function_active_v2").wait(FunctionName="kennel", WaiterConfig=WAIT)
    result, answer = user.call("kennel", {"image": base64.b64encode(b"\xff\xd8\xff\xe0 a picture").decode()})
    assert "FunctionError" not in answer
    assert "Endpoint nothing-here of account 123456789012 not found" in json.dumps(result)
    user.api.delete_function(FunctionName="kennel")


def test_an_asynchronous_event_runs_and_its_output_is_logged(user: User, cloud: Running) -> None:
    user.function("later")
    answer = user.api.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"marked": 1}')
    assert answer["StatusCode"] == 202
    assert user.api.invoke(FunctionName="later", InvocationType="DryRun")["StatusCode"] == 204
    logs = cloud.client("logs")
    events: list[Any] = []
    for _ in range(100):
        groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/later")["logGroups"]
        events = logs.filter_log_events(logGroupName="/aws/lambda/later")["events"] if groups else []
        if any('event {"marked": 1}' in event["message"] for event in events):
            break
        time.sleep(0.1)
    assert any('event {"marked": 1}' in event["message"] for event in events)
    user.api.delete_function(FunctionName="later")
