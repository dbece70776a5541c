"""What a user types to train, deploy and ask, on a few pictures: real images, two hosts, an endpoint, a Lambda."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.processes import commands

REPOSITORY = Path(__file__).parents[2]
SETTINGS = """
[data]
source = "{source}"

[training]
instance_count = 2

[training.hyperparameters]
model = "resnet18"
weights = "none"
freeze_backbone = true
epochs = {epochs}
batch_size = 16
resize = 64
crop = 64

[stages.local]
account = "123456789012"
endpoint_url = "http://127.0.0.1:{port}"
credentials = "dummy"
engine_images = true
"""


def _accept_interrupts() -> None:
    """Accepts Ctrl-C as at a terminal; processes that a shell starts in the background, as in CI, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Desk:
    """./inv of the repository at `home`, with its own settings and its own local AWS."""

    def __init__(self, folder: Path, *, home: Path = REPOSITORY, text: str = SETTINGS, **values: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.home = home
        settings = folder / "deploy.toml"
        settings.write_text(text.format(port=self.port, **values))
        self.environment = {**os.environ, "KENNEL_SETTINGS": str(settings), "KENNEL_STAGE": "local"}

    @property
    def state(self) -> Path:
        """The local AWS's folder."""
        return self.home / ".kennel" / f"localcloud-{self.port}"

    def processes(self) -> list[str]:
        """The command lines of the local AWS's processes."""
        return commands(str(self.state))

    def act_as(self, role: str) -> None:
        """From now on, commands have the credentials of a role, as on an account."""
        sts: Any = boto3.client(
            "sts",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        arn = f"arn:aws:iam::123456789012:role/{role}"
        begun = sts.assume_role(RoleArn=arn, RoleSessionName="engineer")["Credentials"]
        settings = Path(self.environment["KENNEL_SETTINGS"])
        settings.write_text(settings.read_text().replace('credentials = "dummy"', 'credentials = "environment"'))
        self.environment |= {
            "AWS_ACCESS_KEY_ID": begun["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": begun["SecretAccessKey"],
            "AWS_SESSION_TOKEN": begun["SessionToken"],
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.home / "inv", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_accept_interrupts,  # noqa: PLW1509 (no threads here)
        )

    def inv(self, *words: str) -> str:
        """The output of a command, which must succeed."""
        process = self.start(*words)
        output = process.communicate(timeout=900)[0]
        assert process.returncode == 0, output
        return output

    @property
    def left(self) -> list[str]:
        """The local AWS's containers and networks."""
        from localcloud.state import StateDir

        label = f"label=kennel.localcloud={StateDir(self.state).instance}"
        ids: list[str] = []
        for words in (["ps", "-aq"], ["network", "ls", "-q"]):
            listed = subprocess.run(["docker", *words, "--filter", label], capture_output=True, text=True, check=True)
            ids += listed.stdout.split()
        return ids

    @property
    def answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def clean(self) -> None:
        subprocess.run([self.home / "inv", "down", "--yes"], env=self.environment, capture_output=True, check=False)
        shutil.rmtree(self.state, ignore_errors=True)


def few_pictures(folder: Path) -> Path:
    """A few starter pictures of three classes, in `folder`."""
    from starter import groceries

    whole = groceries.fetch(REPOSITORY / ".kennel" / "cache")
    for split, count in (("train", 8), ("valid", 4), ("test", 4)):
        for label in ("Kaiser", "Orange", "Honeydew-Melon"):
            for picture in sorted((whole / split / label).iterdir())[:count]:
                target = folder / split / label / picture.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture, target)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return few_pictures(tmp_path / "few")


@pytest.fixture
def desk(tmp_path: Path, pictures: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, source=str(pictures), epochs=1)
    try:
        yield made
    finally:
        made.clean()


def test_a_deployer_with_the_printed_policies_makes_a_classifier_that_answers_and_down_leaves_nothing(
    tmp_path: Path, pictures: Path
) -> None:
    """IAM is enforced. The account's administrator runs one command; the deployer's role does all else."""
    iam = '[iam]\ndeployer_principal = "arn:aws:iam::123456789012:root"\n'
    desk = Desk(tmp_path, text=SETTINGS + iam, source=str(pictures), epochs=1)
    try:
        desk.inv("up", "--iam")
        assert desk.answers
        assert "create deployer/kennel-local-deployer done" in desk.inv("data")
        desk.act_as("kennel-local-deployer")
        _walk(desk, pictures)
    finally:
        desk.clean()


def _walk(desk: Desk, pictures: Path) -> None:
    desk.inv("data")
    assert "Completed" in desk.inv("train")
    steps = json.loads(desk.inv("plan", "--json"))["steps"]
    assert [step["action"] for step in steps].count("create") == 7
    assert "7 changes made" in desk.inv("deploy")
    assert "nothing to do" in desk.inv("deploy")
    assert json.loads(desk.inv("deploy", "--json")) == {"steps": []}
    again = desk.inv("train", "--quiet")
    assert "not started again" in again
    picture = str(next((pictures / "test" / "Orange").iterdir()))
    answer = json.loads(desk.inv("invoke", picture))
    assert answer["statusCode"] == 200
    assert {each["label"] for each in answer["predictions"][0]["top"]} == {"Kaiser", "Orange", "Honeydew-Melon"}
    status = desk.inv("status")
    assert "InService" in status
    assert "denied" not in status
    assert "REPORT RequestId" in desk.inv("logs", "lambda")
    assert "does not scale" in desk.inv("autoscale")
    assert "enough" in desk.inv("quotas")
    assert desk.left
    down = desk.inv("down", "--yes")
    assert "none left" in down
    assert "kept: deployer/kennel-local-deployer (--deployer deletes it too)" in down
    assert desk.left == []
    assert not desk.answers


def test_a_job_that_cannot_train_says_why_and_the_command_fails(desk: Desk, pictures: Path) -> None:
    for picture in pictures.rglob("*.jpg"):
        picture.write_bytes(b"not a picture")
    desk.inv("up", "data")
    process = desk.start("train")
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    assert "error: training job kennel-local-train-" in output
    assert "raise max_bad_share" in output
    assert "Traceback" not in output


def test_ctrl_c_in_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    desk = Desk(tmp_path, source="groceries", epochs=200)
    try:
        process = desk.start("demo")
        deadline = time.monotonic() + 600
        while not desk.left and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.5)
        assert desk.left, process.communicate()[0]
        time.sleep(3)  # training is under way
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 130, output
        assert "no container and no network is left" in output
        assert desk.left == []
        assert not desk.answers
    finally:
        desk.clean()
