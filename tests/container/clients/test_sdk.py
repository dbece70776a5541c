"""The SageMaker SDK's local mode works with our images."""

import json
import socket
import tarfile
from pathlib import Path

from tests.container.clients.conftest import sdk

ARTIFACT = ["golden.json", "model.json", "model.onnx", "model.safetensors"]


def _names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return sorted(member.name for member in tar.getmembers() if member.isfile())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_model_trainer_trains_on_one_host(clients: Path, pictures: Path, train_image: str, tmp_path: Path) -> None:
    printed = sdk(clients, "sdk_train.py", train_image, "1", str(pictures), str(tmp_path))
    assert "kennel epoch=1" in printed
    assert _names(tmp_path / "compressed_artifacts/model.tar.gz") == ARTIFACT


def test_model_trainer_trains_on_two_hosts_that_exit_together(trained: Path) -> None:
    assert _names(trained) == ARTIFACT


def test_local_session_serves_the_model_that_model_trainer_trained(
    clients: Path, trained: Path, serve_image: str, pictures: Path
) -> None:
    picture = pictures / "test/green/0.jpg"
    printed = sdk(clients, "sdk_serve.py", serve_image, str(trained), str(picture), str(_free_port()))
    answer = json.loads(next(line for line in printed.splitlines() if line.startswith("ANSWER "))[7:])
    assert answer["predictions"][0]["label"] == "green"
