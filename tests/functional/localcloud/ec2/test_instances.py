"""EC2 instances over HTTP: client tokens, metadata by IMDSv2's rules, and how an instance ends."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws_client import client
from localcloud.containers.engine import ContainerSpec, ContainerState
from localcloud.ec2.instances import BASE, Instances
from localcloud.ec2.records import MotoRecords, Record
from localcloud.gateway.protocol import Response
from localcloud.gateway.server import Application, Listener, bind
from tests.unit.localcloud.fakes import FakeContainer, FakeEngine, cloud

REGION = "eu-south-2"  # used by no other test of this process
AMIS = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"


@dataclass(kw_only=True)
class Fakes:
    """A localcloud with EC2 only. A machine runs until it gets a signal, or until its instance is in `shut`."""

    url: str
    shut: set[str]
    engine: FakeEngine
    ec2: Any
    ssm: Any

    def start(self, **more: Any) -> str:
        image = self.ssm.get_parameter(Name=AMIS)["Parameter"]["Value"]
        request = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
        return str(self.ec2.run_instances(**request)["Instances"][0]["InstanceId"])

    def machines(self, instance: str) -> list[FakeContainer]:
        """The containers that act as an instance now."""
        return [each for each in list(self.engine.containers.values()) if each.spec.name.endswith(instance)]

    def state(self, instance: str) -> str:
        described = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return f"{described['State']['Name']} {described['StateReason']['Code']}".strip()

    def metadata(self, instance: str, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        return self.send(f"instance/{instance}{path}", method=method, **headers)

    def send(self, path: str, *, method: str, **headers: str) -> tuple[int, str]:
        """Status and body of one of localcloud's own routes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}/_localcloud/{path}", method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    shut: set[str] = set()

    def machine(container: FakeContainer) -> int:
        container.say("hello from the console")
        while container.signals.empty() and container.spec.labels["kennel.localcloud.ec2"] not in shut:
            time.sleep(0.02)
        return 0

    engine = FakeEngine(machine, images=(f"{BASE}:1",))
    instances = Instances(
        replace(cloud(tmp_path_factory.mktemp("ec2"), engine=engine), region=REGION),
        MotoRecords("123456789012", REGION),
        tuple,
    )
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application(instances.services(), region=REGION, health=dict))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    yield Fakes(url=url, shut=shut, engine=engine, ec2=client("ec2", url, REGION), ssm=client("ssm", url, REGION))
    instances.close()
    listener.stop()


def test_a_client_token_starts_one_instance_and_refuses_other_parameters(fakes: Fakes) -> None:
    first = fakes.start(ClientToken="t")
    assert fakes.start(ClientToken="t") == first
    until(lambda: bool(fakes.machines(first)))
    assert len(fakes.machines(first)) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        fakes.start(ClientToken="t", InstanceType="m5.large")


def test_user_data_over_ec2s_limit_is_refused(fakes: Fakes) -> None:
    with pytest.raises(ClientError, match="User data is limited to 16384 bytes"):
        fakes.start(UserData="#" * 16385)
    fakes.start(UserData="#" * 16384)


def test_metadata_needs_a_token_where_tokens_are_required(fakes: Fakes) -> None:
    instance = fakes.start(UserData="#!/bin/sh\n", MetadataOptions={"HttpTokens": "required"})
    path = "/latest/meta-data/instance-id"
    assert fakes.metadata(instance, path)[0] == 401
    status, token = fakes.metadata(
        instance, "/latest/api/token", method="PUT", X_aws_ec2_metadata_token_ttl_seconds="60"
    )
    assert status == 200
    assert fakes.metadata(instance, path, X_aws_ec2_metadata_token=token) == (200, instance)
    assert fakes.metadata(instance, "/latest/user-data", X_aws_ec2_metadata_token=token) == (200, "#!/bin/sh\n")
    assert fakes.metadata("i-0", path)[0] == 404


def test_only_spot_instances_get_an_interruption_notice(fakes: Fakes) -> None:
    spot, other = fakes.start(InstanceMarketOptions={"MarketType": "spot"}), fakes.start()
    notice = "/latest/meta-data/spot/instance-action"
    assert fakes.metadata(spot, notice)[0] == 404
    assert fakes.send(f"instances/{spot}/interrupt", method="POST")[0] == 200
    assert fakes.send(f"instances/{other}/interrupt", method="POST")[0] == 400
    assert '"action": "terminate"' in fakes.metadata(spot, notice)[1]


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        ("terminate", "terminated Client.InstanceInitiatedShutdown"),
        ("stop", "stopped Client.InstanceInitiatedShutdown"),
    ],
)
def test_a_machine_that_shuts_itself_down_ends_by_its_shutdown_behaviour(
    fakes: Fakes, behaviour: str, state: str
) -> None:
    instance = fakes.start(InstanceInitiatedShutdownBehavior=behaviour)
    until(lambda: fakes.state(instance).startswith("running"))
    fakes.shut.add(instance)
    until(lambda: fakes.state(instance) == state)
    assert fakes.machines(instance) == []


def test_a_terminated_instance_is_ended_and_its_console_can_still_be_read(fakes: Fakes) -> None:
    instance = fakes.start()
    until(lambda: bool(fakes.machines(instance)))
    fakes.ec2.terminate_instances(InstanceIds=[instance])
    until(lambda: not fakes.machines(instance))
    assert fakes.state(instance).startswith("terminated")
    assert "hello from the console" in fakes.ec2.get_console_output(InstanceId=instance)["Output"]


class SlowEngine(FakeEngine):
    """An engine that starts a container only after `may_start`."""

    def __init__(self) -> None:
        super().__init__(images=(f"{BASE}:1",))
        self.may_start, self.ended = threading.Event(), threading.Event()

    def run(self, spec: ContainerSpec) -> ContainerState:
        self.may_start.wait(10)
        return super().run(spec)

    def owned(self) -> list[ContainerState]:
        self.ended.set()
        return super().owned()


@dataclass
class OneRecord:
    """Records of one instance, whose state tests set."""

    state: str = "pending"

    def all(self) -> list[Record]:
        return [
            Record(
                id="i-1", state=self.state, instance_type="t3.micro", image_id="ami-1", zone="us-east-1a",
                private_ip="10.0.0.5", user_data=b"", tokens_required=True, is_spot=False, terminates=True,
            )
        ]  # fmt: skip

    def end(self, instance: str, *, terminate: bool, code: str, message: str) -> None:
        raise AssertionError(f"{instance} did not end by itself: {code}")

    def image(self) -> str:
        return "ami-1"


def test_an_instance_that_is_terminated_while_its_container_starts_leaves_no_container(tmp_path: Path) -> None:
    engine, record = SlowEngine(), OneRecord()
    instances = Instances(cloud(tmp_path, engine=engine), record, tuple)
    answer = Response(status=200, headers={}, body=b"")
    instances.change({}, lambda: answer)
    record.state = "shutting-down"
    instances.change({}, lambda: answer)
    assert engine.ended.wait(10)
    engine.may_start.set()
    until(lambda: bool(engine.specs) and not engine.containers)
    instances.close()


def test_moto_answers_all_other_parameters(fakes: Fakes) -> None:
    with pytest.raises(ClientError, match="ParameterNotFound"):
        fakes.ssm.get_parameter(Name="/mine")


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
