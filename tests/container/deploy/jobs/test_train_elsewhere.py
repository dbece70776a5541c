"""Training on an EC2 instance and on this machine, in real containers with a tiny trainer: one result for both."""

import io
import json
import subprocess
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import docker
from deploy.aws.tags import tag_list
from deploy.commands import data, down
from deploy.commands.train import LocalPaths, train
from deploy.config.settings import choose, parse
from deploy.console import Screen
from deploy.errors import JobError
from deploy.iam.instance_profile import instance_profile
from deploy.iam.role import ec2_role
from deploy.images import engine
from deploy.jobs import ec2_instance
from deploy.jobs.ec2 import newest_image
from deploy.jobs.latest import latest_job
from deploy.jobs.local import container
from deploy.jobs.security_group import security_group
from deploy.session import Session
from deploy.storage.bucket import bucket
from deploy.storage.log_group import ec2_group
from deploy.values import Request
from localcloud import daemon
from tests.clients import QUICK, connect
from tests.container.localcloud.sagemaker.hosting_support import build

TOML = Path(__file__).parents[4] / "deploy.toml"
TRAINER = Path(__file__).with_name("tiny_trainer.py")
DOCKERFILE = 'FROM {base}\nCOPY train.py /train.py\nENTRYPOINT ["python3", "-u", "/train.py"]\n'


@dataclass(kw_only=True)
class Bench:
    """A stage with pictures in its bucket, and the output of its screen."""

    url: str
    image: str
    pictures: Path
    runs: Path
    output: io.StringIO = field(default_factory=io.StringIO)

    def session(self, *, spot: bool = False, **environment: str) -> Session:
        settings = choose(parse(TOML.read_text().replace("http://127.0.0.1:4566", self.url)), "local")
        ec2 = settings.training.ec2.model_copy(update={"spot": spot})
        changed = {"hyperparameters": {"epochs": 3}, "ec2": ec2, "environment": environment}
        settings = settings.model_copy(update={"training": settings.training.model_copy(update=changed)})
        return Session(
            settings=settings,
            call=connect(settings),
            build=lambda _: self.image,
            screen=Screen(out=self.output),
            clock=QUICK,
        )

    @property
    def local(self) -> LocalPaths:
        return LocalPaths(runs=self.runs, sources={"training": self.pictures})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("elsewhere")
    for label in ("a", "b"):
        (root / "pictures" / "train" / label).mkdir(parents=True)
        (root / "pictures" / "train" / label / "1.jpg").write_bytes(label.encode())
    client = docker.from_env()
    image = build(client, "kennel-test/trainer:tiny", DOCKERFILE, **{"train.py": TRAINER.read_text()})
    status = daemon.start_background(port=0, state_dir=root / "localcloud")
    bench = Bench(url=status.endpoint_url, image=image, pictures=root / "pictures", runs=root / "runs")
    data.push(bench.session(), bench.pictures, "pictures")
    yield bench
    daemon.stop(root / "localcloud")
    client.images.remove(image, force=True)
    client.close()


def test_an_instance_trains_resumes_after_an_interruption_and_terminates_itself(bench: Bench) -> None:
    session = bench.session(spot=True, EPOCH_S="2")
    interrupter = threading.Thread(target=_interrupt_once, args=(bench, session), daemon=True)
    interrupter.start()
    result = train(session, "pictures", on="ec2")
    interrupter.join(timeout=5)
    shown = bench.output.getvalue()
    assert "Interrupted" in shown
    assert "2 pictures, from epoch 0" in shown
    assert shown.count("epoch   1/3") == 1  # no line is shown twice, and no epoch trained twice
    assert result.metrics["epoch"] == 3
    assert _members(session, result.artifact) == ["model.json"]
    assert _members(session, result.reports) == ["report.html"]
    _until(lambda: not list(ec2_instance.instances(session.settings, session.call)))  # it terminated itself
    newest = latest_job(session.settings, session.call)
    assert newest is not None
    assert newest.artifact == result.artifact
    before = bench.output.tell()
    assert train(session, "pictures", on="ec2").artifact == result.artifact
    assert "already completed, not started again" in bench.output.getvalue()[before:]


def test_this_machine_trains_with_docker_run_and_the_stage_can_serve_the_model(bench: Bench) -> None:
    session = bench.session()
    result = train(session, "pictures", on="local", purpose="box", local=bench.local)
    assert result.metrics["epoch"] == 3
    assert _members(session, result.artifact) == ["model.json"]
    newest = latest_job(session.settings, session.call, training="box")
    assert newest is not None
    assert newest.name == result.name
    assert (bench.runs / result.name / "checkpoints" / "epoch").read_text() == "3"
    assert train(session, "pictures", on="local", purpose="box", local=bench.local) == result
    assert engine.execute(["docker", "inspect", container(result.name)])[0] != 0  # nothing is left behind


def test_a_stopped_training_resumes_from_its_checkpoint_on_this_machine(bench: Bench) -> None:
    session = bench.session(EPOCH_S="1")
    stopper = threading.Thread(target=_stop_after_an_epoch, args=(bench,), daemon=True)
    stopper.start()
    with pytest.raises(JobError, match=r"(?s)it was stopped.*resumes"):
        train(session, "pictures", on="local", purpose="stopped", local=bench.local)
    stopper.join(timeout=5)
    before = bench.output.tell()
    assert train(session, "pictures", on="local", purpose="stopped", local=bench.local).metrics["epoch"] == 3
    assert "from epoch 0" not in bench.output.getvalue()[before:]


def test_this_machine_trains_without_any_stage_and_warns_that_the_model_is_not_registered(bench: Bench) -> None:
    session = Bench(url="http://127.0.0.1:9", image=bench.image, pictures=bench.pictures, runs=bench.runs).session()
    result = train(session, "pictures", on="local", purpose="alone", local=bench.local)
    assert Path(result.artifact).is_file()
    assert "not registered with stage local" in session.screen.out.getvalue()  # type: ignore[attr-defined]  # StringIO


def test_a_local_training_that_fails_gives_the_reason(bench: Bench) -> None:
    session = bench.session(FAIL="1")
    with pytest.raises(JobError, match="the pictures are too dark, exit code: 2"):
        train(session, "pictures", on="local", purpose="fails", local=bench.local)


def test_down_deletes_a_running_instance_and_the_resources_of_ec2_training(bench: Bench) -> None:
    session = bench.session()
    settings = session.settings
    around = (ec2_role(settings), instance_profile(settings), security_group(settings), ec2_group(settings))
    session.settle((bucket(settings), *around))
    image = session.call(newest_image(settings.training.ec2.ami_parameter))["Parameter"]["Value"]
    tags = [{"ResourceType": "instance", "Tags": tag_list(settings.tags)}]
    params = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}
    session.call(Request(service="ec2", operation="RunInstances", params=params))
    done = down.down(session, lambda _: True, also=("data", "images"))
    kinds = {step.kind for step in done.gone}
    assert {"instance", "security-group", "instance-profile", "role", "log-group", "bucket"} <= kinds


def _interrupt_once(bench: Bench, session: Session) -> None:
    _until(lambda: "epoch   1/3" in bench.output.getvalue())
    (instance,) = ec2_instance.instances(session.settings, session.call)
    url = f"{bench.url}/_localcloud/instances/{instance['InstanceId']}/interrupt"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5) as answer:
        assert json.load(answer)["instance"] == instance["InstanceId"]


def _stop_after_an_epoch(bench: Bench) -> None:
    epochs = list[Path]()

    def begun() -> bool:
        epochs[:] = list(bench.runs.glob("*-stopped-*/checkpoints/epoch"))
        return bool(epochs)

    _until(begun)
    subprocess.run(["docker", "stop", container(epochs[0].parents[1].name)], capture_output=True, check=False)


def _members(session: Session, uri: str) -> list[str]:
    where, _, key = uri.removeprefix("s3://").partition("/")
    answer = session.call(Request(service="s3", operation="GetObject", params={"Bucket": where, "Key": key}))
    with tarfile.open(fileobj=io.BytesIO(answer["Body"].read())) as tar:
        return [Path(member.name).name for member in tar if member.isfile()]


def _until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)
