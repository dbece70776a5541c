"""The serving image answers the logits that the training image computes for the same real pictures."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import requests

from deploy.images.builder import ImageBuilder
from starter import groceries
from tests.container.serve.conftest import ROOT, Serve, address

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` from the training image, `pictures` and torch's `logits.npy`."""
    folder = tmp_path_factory.mktemp("trained")
    pictures, model = folder / "pictures", folder / "model"
    pictures.mkdir()
    model.mkdir()
    sources = sorted((groceries.fetch(ROOT / ".kennel" / "cache") / "test").rglob("*.jpg"))
    for path in sources[:: max(1, len(sources) // 12)][:12]:
        shutil.copy(path, pictures / path.name)
    image = ImageBuilder(repository=ROOT).build("train")
    mounts = [f"--volume={folder}:/parity", f"--volume={HERE / 'export_random.py'}:/opt/kennel/export_random.py:ro"]
    arguments = ["export_random.py", "/parity/model", "/parity/pictures", "/parity/logits.npy"]
    command = ["docker", "run", "--rm", *mounts, "--entrypoint=python3", image, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def test_the_servers_logits_are_torchs_within_a_ten_thousandth(trained: Path, serve: Serve) -> None:
    url = address(serve(trained / "model")) + "/invocations"
    pictures = [path.read_bytes() for path in sorted((trained / "pictures").iterdir())]
    expected = np.load(trained / "logits.npy")
    accept = {"Accept": "application/json;form=logits"}
    images = [base64.b64encode(picture).decode() for picture in pictures]
    together = np.array(requests.post(url, json={"images": images}, headers=accept, timeout=60).json())
    alone = [
        requests.post(url, data=picture, headers={**accept, "Content-Type": "image/jpeg"}, timeout=60).json()[0]
        for picture in pictures
    ]
    assert expected.shape == (12, 14)
    assert np.ptp(expected, axis=0).max() > 0.1  # the pictures have different logits, so equality means something
    assert np.abs(together - expected).max() < 1e-4
    assert np.abs(np.array(alone) - expected).max() < 1e-4
