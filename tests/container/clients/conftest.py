"""Other people's AWS clients (the AWS CLI, the SageMaker SDK) in their own environment, and the fixtures they need."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import docker
from deploy.images.builder import ImageBuilder
from localcloud import daemon
from tests.container.localcloud.roles import make_roles

ROOT = Path(__file__).resolve().parents[3]
COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder of the clients' commands (python, aws), reinstalled from requirements.lock when that changes."""
    lock = ROOT / "tests/container/clients/requirements.lock"
    home, stamp = ROOT / ".kennel/clients", hashlib.sha256(lock.read_bytes()).hexdigest()
    done = home / "stamp"
    if not done.is_file() or done.read_text() != stamp:
        uv = (sys.executable, "-m", "uv")
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, home], check=True)
        sync = ("pip", "sync", "--quiet", "--require-hashes", "--python", str(home / "bin/python"), str(lock))
        subprocess.run([*uv, *sync], check=True)
        done.write_text(stamp)
    return home / "bin"


@pytest.fixture(scope="session", autouse=True)
def no_leftovers() -> Iterator[None]:
    """Removes the stopped containers and the network that the SDK's local mode leaves behind in these tests."""
    engine = docker.from_env()
    before = {container.id for container in engine.containers.list(all=True)}
    yield
    for container in engine.containers.list(all=True, filters={"network": "sagemaker-local"}):
        if container.id not in before:
            container.remove(force=True)
    for network in engine.networks.list(names=["sagemaker-local"]):
        if not network.containers:
            network.remove()
    engine.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ImageFolder with train, valid and test, whose three classes differ by colour."""
    folder, chance = tmp_path_factory.mktemp("pictures"), random.Random(0)
    for split, count in (("train", 12), ("valid", 6), ("test", 6)):
        for label, colour in COLOURS.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixel = tuple(value + chance.randint(-30, 30) for value in colour)
                Image.new("RGB", (64, 48), pixel).save(folder / split / label / f"{number}.jpg")
    return folder


@pytest.fixture(scope="session")
def train_image() -> str:
    return ImageBuilder(repository=ROOT).build("train")


@pytest.fixture(scope="session")
def serve_image() -> str:
    return ImageBuilder(repository=ROOT).build("serve")


@pytest.fixture(scope="session")
def trained(clients: Path, pictures: Path, train_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model.tar.gz that the SageMaker SDK's local mode trained on two hosts."""
    output = tmp_path_factory.mktemp("two-hosts")
    sdk(clients, "sdk_train.py", train_image, "2", str(pictures), str(output))
    return output / "compressed_artifacts/model.tar.gz"


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a localcloud that only these tests use."""
    state = tmp_path_factory.mktemp("localcloud")
    url = daemon.start_background(port=0, state_dir=state).endpoint_url
    make_roles(url, "clients")
    yield url
    daemon.stop(state)


def credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}


def sdk(clients: Path, script: str, *arguments: str) -> str:
    """Runs a script of this folder in the clients' environment and returns its output."""
    command = [str(clients / "python"), str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(
        command, env={**os.environ, **credentials()}, capture_output=True, text=True, timeout=400, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{script} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout
