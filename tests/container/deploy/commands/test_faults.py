"""Each call of a deploy fails once, in each way: the next run resumes, and the end is the same as without faults."""

from __future__ import annotations

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.aws.client import Client
from deploy.aws.lock import Holder
from deploy.commands.deploy import deploy
from deploy.commands.down import down
from localcloud import daemon
from tests.container.deploy import fixtures
from tests.container.deploy.commands.faults import TOLERATED, Fault, FaultyClient, is_change, walk
from tests.container.deploy.fixtures import StageFixture

TOML = """
[endpoint]
instance_type = "ml.m5.large"

[lambda]
reserved_concurrency = 5
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageFixture]:
    multiprocessing.set_forkserver_preload(["tests.clients_preload", "deploy.commands.deploy", "deploy.commands.down"])
    folder = tmp_path_factory.mktemp("faults")
    cloud = daemon.start_background(port=0, state_dir=folder / "state")
    try:
        yield fixtures.make(cloud.endpoint_url, TOML, folder / "model")
    finally:
        daemon.stop(folder / "state")


def deployed(stage: StageFixture, client: Callable[[Client], Any]) -> None:
    deploy(stage.session(client=client))


def deleted(stage: StageFixture, client: Callable[[Client], Any]) -> None:
    down(stage.session(client=client), lambda _: True)


@pytest.mark.parametrize("fault", ["denied", "timeout", "kill"])
def test_a_deploy_and_a_down_whose_every_call_fails_once_reach_the_same_end(
    stage: StageFixture, tmp_path: Path, fault: Fault
) -> None:
    messages = walk(partial(deployed, stage), fault, tmp_path / "deploy")
    assert deploy(stage.session()) == ()
    serving = stage.ask("sagemaker", "DescribeEndpoint", EndpointName=stage.settings.endpoint_name)
    assert serving["EndpointStatus"] == "InService"
    if fault in ("timeout", "kill"):  # a refusal changes nothing, so one command is enough
        messages += walk(partial(deleted, stage), fault, tmp_path / "down")
    down(stage.session(), lambda _: True)
    assert down(stage.session(), lambda _: True).gone == ()
    assert len(messages) > 10
    for text in messages:
        check_advice(fault, text)


def test_a_deploy_whose_every_change_is_throttled_once_goes_through_in_one_run(
    stage: StageFixture, tmp_path: Path
) -> None:
    clients: list[FaultyClient] = []

    def throttled(client: Client) -> FaultyClient:
        clients.append(FaultyClient(client=client, fault="throttled", file=tmp_path / "deploy"))
        return clients[-1]

    deployed(stage, throttled)
    assert len(clients[0].failing) > 10
    assert deploy(stage.session()) == ()
    down(stage.session(), lambda _: True)


def check_advice(fault: Fault, text: str) -> None:
    expected = {
        "denied": "ask for this permission",
        "timeout": "run the same command again",
        "kill": "killed",
    }
    if text.startswith(TOLERATED):
        # Releasing the lock may fail: that is only reported, and the next command takes the lock over.
        tolerated = {name.partition(":")[0] for name in text.removeprefix(TOLERATED).split()}
        assert tolerated <= {"s3.DeleteObject", "ecr.BatchGetImage"}
    else:
        assert expected[fault] in text
    assert "Traceback" not in text


def test_a_faulty_client_fails_a_call_once_as_told(stage: StageFixture, tmp_path: Path) -> None:
    from deploy.errors import DeployError
    from deploy.values import Request
    from tests.clients import connect

    client = FaultyClient(client=connect(stage.settings), fault="denied", file=tmp_path / "faults")
    who = Request(service="sts", operation="GetCallerIdentity")
    assert not is_change(who)
    with pytest.raises(DeployError, match="AccessDeniedException"):
        client(who)
    assert client(who)["Account"] == "123456789012"


def test_of_two_deploys_at_once_the_second_waits_and_has_nothing_to_do(stage: StageFixture) -> None:
    context = multiprocessing.get_context("forkserver")
    outputs = [context.Queue() for _ in range(2)]
    both = [context.Process(target=deploying, args=(stage, each)) for each in outputs]
    for process in both:
        process.start()
    texts = [each.get(timeout=180) for each in outputs]
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    made = [sum(line.endswith("done") for line in text.splitlines()) for text in texts]
    assert (min(made), max(made) > 5) == (0, True), texts
    assert any("is changing this stage: waiting" in text for text in texts)
    assert deploy(stage.session()) == ()


def deploying(stage: StageFixture, output: multiprocessing.Queue[str]) -> None:
    out = io.StringIO()
    session = stage.session(out)
    session.holder = Holder(who="tests", host="tests", pid=os.getpid())
    deploy(session)
    output.put(out.getvalue())
