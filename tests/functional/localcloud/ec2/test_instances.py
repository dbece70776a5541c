"""EC2 instances over HTTP: moto's records, one instance a token, metadata by IMDSv2's rules, how an instance ends."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws_client import client
from localcloud.ec2.instances import BASE, Instances
from localcloud.ec2.records import MotoRecords
from localcloud.gateway.server import Application, Listener, bind
from tests.unit.localcloud.fakes import FakeContainer, FakeEngine, cloud

REGION = "eu-south-2"  # nobody else's in this process
AMIS = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"


@dataclass(kw_only=True)
class Fakes:
    """One localcloud with EC2 alone. A machine runs until it is told to end, or until it is in `shut`."""

    url: str
    shut: set[str]
    engine: FakeEngine
    ec2: Any
    ssm: Any

    def start(self, **more: Any) -> str:
        image = self.ssm.get_parameter(Name=AMIS)["Parameter"]["Value"]
        asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
        return str(self.ec2.run_instances(**asked)["Instances"][0]["InstanceId"])

    def machines(self, instance: str) -> list[FakeContainer]:
        """The containers that play an instance now."""
        return [found for found in list(self.engine.containers.values()) if found.spec.name.endswith(instance)]

    def state(self, instance: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return f"{found['State']['Name']} {found['StateReason']['Code']}".strip()

    def metadata(self, instance: str, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
        return self.ask(f"instance/{instance}{path}", method=method, **headers)

    def ask(self, path: str, *, method: str, **headers: str) -> tuple[int, str]:
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


def test_one_token_is_one_instance_and_other_parameters_under_it_are_refused(fakes: Fakes) -> None:
    first = fakes.start(ClientToken="t")
    assert fakes.start(ClientToken="t") == first
    until(lambda: bool(fakes.machines(first)))
    assert len(fakes.machines(first)) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        fakes.start(ClientToken="t", InstanceType="m5.large")


def test_user_data_over_the_limit_is_refused_as_ec2_refuses_it(fakes: Fakes) -> None:
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


def test_a_notice_is_given_to_spot_instances_only(fakes: Fakes) -> None:
    spot, other = fakes.start(InstanceMarketOptions={"MarketType": "spot"}), fakes.start()
    notice = "/latest/meta-data/spot/instance-action"
    assert fakes.metadata(spot, notice)[0] == 404
    assert fakes.ask(f"instances/{spot}/interrupt", method="POST")[0] == 200
    assert fakes.ask(f"instances/{other}/interrupt", method="POST")[0] == 400
    assert '"action": "terminate"' in fakes.metadata(spot, notice)[1]


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        ("terminate", "terminated Client.InstanceInitiatedShutdown"),
        ("stop", "stopped Client.InstanceInitiatedShutdown"),
    ],
)
def test_a_machine_that_shuts_itself_down_ends_as_it_was_asked_for(fakes: Fakes, behaviour: str, state: str) -> None:
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


def test_parameters_that_name_no_such_ami_are_motos(fakes: Fakes) -> None:
    with pytest.raises(ClientError, match="ParameterNotFound"):
        fakes.ssm.get_parameter(Name="/mine")


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
