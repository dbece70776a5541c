"""A stage that a user deploys, changes and deletes: a real registry, real training, two endpoints with a model each, an
update and a failing update under load, and nothing left at the end."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws_client import client
from tests.e2e.test_main_job import REPOSITORY, Desk, few_pictures

SETTINGS = """
[data]
source = "{source}"

[training.hyperparameters]
model = "resnet18"
weights = "none"
freeze_backbone = true
epochs = 1
batch_size = 16
resize = 64
crop = 64

[endpoint.autoscaling]
max = 2
target = 10000

[endpoints.multi]
training = "multi"

[lambda]
reserved_concurrency = 5

[stages.local]
account = "123456789012"
endpoint_url = "http://127.0.0.1:{port}"
"""
SECRET = "a-secret-key-that-nobody-may-see"


class Clone(Desk):
    """A copy of the repository, so that its code can be changed, with a local AWS of its own."""

    def __init__(self, folder: Path, source: Path) -> None:
        home = folder / "clone"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            target = home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target, follow_symlinks=False)
        (home / ".venv").symlink_to(REPOSITORY / ".venv")
        (home / ".kennel").mkdir()
        (home / ".kennel" / "cache").symlink_to(REPOSITORY / ".kennel" / "cache")
        super().__init__(folder, home=home, text=SETTINGS, source=str(source))
        self.environment |= {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "KENNEL_TRACE": "1"}
        self.output = ""
        self.images = images()

    def inv(self, *words: str) -> str:
        output = super().inv(*words)
        self.output += output
        return "\n".join(line for line in output.splitlines() if not line.startswith("→ "))

    def leaks(self) -> list[str]:
        """The places that hold the secret key: the output, the local AWS's files, the containers' settings."""
        places = ["the output"] if SECRET in self.output else []
        for path in self.state.rglob("*"):
            if path.is_file() and path.stat().st_size < 10_000_000 and SECRET.encode() in path.read_bytes():
                places.append(str(path))
        for container in self.left:
            details = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=False)
            places += [container] if SECRET in details.stdout else []
        return places

    def aws(self, service: str) -> Any:
        return client(service, f"http://127.0.0.1:{self.port}", "us-east-1")

    def clean(self) -> None:
        """Deletes its images too, and gives the plain names back to the repository's own images."""
        super().clean()
        subprocess.run(["docker", "rmi", *(images() - self.images)], capture_output=True, check=False)
        subprocess.run([REPOSITORY / "inv", "build"], capture_output=True, check=True)

    def change(self, name: str, before: str, after: str) -> None:
        path = self.home / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, after), encoding="utf-8")

    def served(self) -> dict[str, str]:
        """Each endpoint's image."""
        aws = self.aws("sagemaker")
        images = {}
        for name in ("kennel-local", "kennel-local-multi"):
            config = aws.describe_endpoint(EndpointName=name)["EndpointConfigName"]
            [variant] = aws.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
            images[name] = aws.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]["Image"]
        return images


def images() -> set[str]:
    command = ["docker", "images", "--format={{.Repository}}:{{.Tag}}", "kennel/*"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


class Load:
    """Sends requests to both endpoints and the function in turn while the context lasts; keeps refused ones."""

    def __init__(self, clone: Clone, picture: Path) -> None:
        self.clone, self.picture = clone, picture.read_bytes()
        self.answered: Counter[str] = Counter()
        self.refused: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        runtime, function = self.clone.aws("sagemaker-runtime"), self.clone.aws("lambda")
        event = json.dumps({"image": base64.b64encode(self.picture).decode()}).encode()
        while not self._ended.wait(0.02):
            for name in ("kennel-local", "kennel-local-multi", "kennel-local-classify:live"):
                try:
                    if ":" in name:
                        answer = json.load(function.invoke(FunctionName=name, Payload=event)["Payload"])
                        if answer.get("statusCode") != 200:
                            self.refused.append(f"{name}: {answer}")
                    else:
                        runtime.invoke_endpoint(EndpointName=name, Body=self.picture, ContentType="image/jpeg")
                    self.answered[name] += 1
                except (ClientError, BotoCoreError) as error:
                    self.refused.append(f"{name}: {error}")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return few_pictures(tmp_path / "few")


@pytest.fixture
def clone(tmp_path: Path, pictures: Path) -> Iterator[Clone]:
    made = Clone(tmp_path, pictures)
    try:
        yield made
    finally:
        made.clean()


def test_a_stage_is_deployed_changed_under_load_and_deleted_whole(clone: Clone, pictures: Path) -> None:
    picture = next((pictures / "test" / "Orange").iterdir())

    # From nothing: two models on two endpoints, their images pulled from the registry by digest.
    clone.inv("up", "build", "push", "data", "train", "train", "--name=multi", "--instances=2", "--quiet")
    output = clone.inv("deploy", "autoscale", "status")
    assert output.count("InService") >= 2, output
    first = clone.served()
    assert all("/kennel-local/serve@sha256:" in image for image in first.values())
    jobs = [job["TrainingJobName"] for job in clone.aws("sagemaker").list_training_jobs()["TrainingJobSummaries"]]
    assert len(jobs) == 2
    assert clone.leaks() == []

    # A change of the serving code updates only the resources that depend on it, and no request fails.
    clone.change(
        "serve/app.py", "from __future__ import annotations\n", "from __future__ import annotations  # newer\n"
    )
    with Load(clone, picture) as load:
        clone.inv("build", "push", "data", "train", "--quiet")
        steps = json.loads(clone.inv("plan", "--json"))["steps"]
        changed = {step["resource"].partition("/")[0] for step in steps if step["action"] != "none"}
        assert changed == {"model", "endpoint-config", "endpoint"}
        clone.inv("deploy", "autoscale", "status")
        assert "nothing to do" in clone.inv("deploy")
    assert load.refused == []
    assert min(load.answered.values()) > 20, load.answered
    second = clone.served()
    assert set(first.values()).isdisjoint(second.values())
    assert [
        job["TrainingJobName"] for job in clone.aws("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    ] == jobs

    # A version that answers wrongly is rolled back, and no request reaches it.
    clone.change(
        "serve/predictor.py",
        "return self.network.logits(pictures)",
        "return -self.network.logits(pictures)",
    )
    clone.inv("build", "push")
    with Load(clone, picture) as load:
        failed = clone.start("deploy")
        output = failed.communicate(timeout=600)[0]
    assert failed.returncode == 1, output
    assert "rolled back" in output
    assert "golden" in output
    assert "Traceback" not in output
    assert load.refused == []
    assert clone.served() == second

    # Nothing is left: no resource, no container, no network, no registry.
    assert "none left" in clone.inv("down", "--yes")
    assert clone.left == []
    assert not clone.answers
    for _ in range(50):
        if not clone.processes():
            return
        time.sleep(0.1)  # the daemon is ending
    raise AssertionError(clone.processes())
