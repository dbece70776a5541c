"""The function is deployed again and again to a real Lambda emulator, while callers invoke its alias."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import docker
from deploy.commands.invoke import invoke
from deploy.commands.rollback import rollback_function
from deploy.config.settings import Settings, choose, parse
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.iam.role import function_role
from deploy.session import Session
from deploy.stage.desired import function_resources
from tests.clients import QUICK, connect
from tests.container.localcloud.sagemaker.hosting_support import Running, build, running

NAME = "kennel-local-classify"
TOML = """
[lambda]
reserved_concurrency = {reserved}
provisioned_concurrency = {provisioned}
url = "iam"

[stages.local]
account = "123456789012"
endpoint_url = "{url}"
credentials = "dummy"
engine_images = true
"""
RUNTIME = """
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime"
while True:
    with urllib.request.urlopen(base + "/invocation/next") as reply:
        request, event = reply.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(reply.read())
    release = os.environ["RELEASE"]
    answer = {"statusCode": 200, "release": release, "body": release}
    if release == "bad":
        answer = {"statusCode": 424, "error": {"code": "endpoint-refused", "message": "no such endpoint"}}
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(base + "/invocation/" + request + "/response", body)).read()
"""
DOCKERFILE = """
FROM {{base}}
COPY runtime.py /runtime.py
ENV RELEASE={release}
ENTRYPOINT ["python3", "/runtime.py"]
CMD ["handler"]
"""


@pytest.fixture(scope="module")
def images() -> Iterator[dict[str, str]]:
    client = docker.from_env()
    tags = {release: f"kennel-test/release:{release}" for release in ("one", "two", "bad")}
    try:
        for release, tag in tags.items():
            build(client, tag, DOCKERFILE.format(release=release), **{"runtime.py": RUNTIME})
        yield tags
    finally:
        for tag in tags.values():
            client.images.remove(tag, force=True)
        client.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("release")) as made:
        yield made


class ReleaseFixture:
    """Deploys images of the function as a user does."""

    def __init__(self, cloud: Running, images: dict[str, str]) -> None:
        self.cloud, self.images = cloud, images
        self.counts = {"reserved": 5, "provisioned": 2}

    @property
    def settings(self) -> Settings:
        return choose(parse(TOML.format(url=self.cloud.endpoint_url, **self.counts)), "local")

    def session(self) -> Session:
        settings = self.settings
        return Session(
            settings=settings,
            call=connect(settings),
            build=lambda kind: kind,
            screen=Screen(out=io.StringIO()),
            clock=QUICK,
        )

    def deploy(self, release: str) -> list[str]:
        resources = (function_role(self.settings), *function_resources(self.settings, image=self.images[release]))
        return [step.kind for step in self.session().settle(resources).changes]

    def release(self) -> str:
        return str(invoke(self.session(), {})["release"])

    def warm(self) -> list[str]:
        """The version of each environment that is kept warm."""
        api = self.cloud.client("lambda")
        configs = api.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
        version = api.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"]
        assert {each["Status"] for each in configs} <= {"READY"}
        return [version] * sum(each["AvailableProvisionedConcurrentExecutions"] for each in configs)

    def environments(self) -> list[str]:
        return sorted(each.labels["kennel.version"] for each in self.cloud.containers(kennel__function=NAME))

    @contextmanager
    def callers(self) -> Iterator[list[str]]:
        """Invokes the alias again and again in a thread; yields the answers so far."""
        answers: list[str] = []
        ended = threading.Event()

        def call() -> None:
            while not ended.wait(0.02):
                try:
                    answers.append(self.release())
                except Exception as error:
                    answers.append(repr(error))

        caller = threading.Thread(target=call)
        caller.start()
        try:
            yield answers
        finally:
            ended.set()
            caller.join()


def signed(url: str) -> Any:
    sent = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials("kennel-local", "kennel-local"), "lambda", "us-east-1").add_auth(sent)
    return requests.get(url, headers=dict(sent.headers), timeout=30)


def test_deploys_that_follow_one_another(cloud: Running, images: dict[str, str]) -> None:
    fixture = ReleaseFixture(cloud, images)
    fixture.deploy("one")
    assert (fixture.release(), fixture.warm()) == ("one", ["1", "1"])

    with (
        fixture.callers() as answers
    ):  # the second deploy, which breaks elsewhere: the alias moves with what is provisioned
        assert fixture.deploy("two") == ["function", "alias"]
    assert set(answers) <= {"one", "two"}
    assert answers[-1] == "two"
    assert (fixture.release(), fixture.warm()) == ("two", ["2", "2"])
    assert fixture.environments().count("2") >= 2  # one of the old may be there still: it was busy when the alias moved

    with pytest.raises(DeployError, match=r"(?s)version 3 is not healthy: .* is 424, not 200: endpoint-refused"):
        fixture.deploy("bad")
    assert (fixture.release(), fixture.warm()) == ("two", ["2", "2"])

    assert rollback_function(fixture.session()) == "1"
    assert (fixture.release(), fixture.warm()) == ("one", ["1", "1"])

    fixture.counts = {"reserved": 1, "provisioned": 1}  # below what is provisioned now
    assert fixture.deploy("two") == ["function", "alias", "concurrency"]
    assert (fixture.release(), len(fixture.warm())) == ("two", 1)
    assert fixture.deploy("two") == []

    url = cloud.client("lambda").get_function_url_config(FunctionName=NAME, Qualifier="live")["FunctionUrl"]
    assert signed(url).text == "two"
    assert requests.get(url, timeout=30).status_code == 403
