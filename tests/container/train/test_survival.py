"""The training image where loaders die: SageMaker's 64 MB of /dev/shm, data that cannot be written to, giants."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from deploy.images.builder import ImageBuilder

ROOT = Path(__file__).resolve().parents[3]
COLOURS = {"blue": (40, 60, 200), "red": (200, 50, 40)}
GIANT = (7000, 5000)
HYPERPARAMETERS = {
    "model": "mobilenet_v3_small", "weights": "none", "freeze_backbone": "false", "epochs": "1", "batch_size": "12",
    "resize": "72", "crop": "64", "precision": "fp32", "ranks": "2",
    "engine": "onnxruntime", "serve_precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def opt_ml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as SageMaker mounts it; a training picture of each class is 7000 pixels wide."""
    root = tmp_path_factory.mktemp("opt-ml")
    chance = random.Random(0)
    for label, colour in COLOURS.items():
        for split, count in (("train", 12), ("valid", 3), ("test", 3)):
            folder = root / "input" / "data" / "training" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                size = GIANT if split == "train" and number == 0 else (90, 70)
                pixel = tuple(value + chance.randint(-30, 30) for value in colour)
                Image.new("RGB", size, pixel).save(folder / f"{number}.jpg")
    config = root / "input" / "config"
    config.mkdir()
    (config / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    (config / "inputdataconfig.json").write_text(json.dumps({"training": {"TrainingInputMode": "File"}}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    return root


def test_two_ranks_end_with_a_model_on_64_mb_of_shm_read_only_data_and_pictures_of_7000_pixels(opt_ml: Path) -> None:
    data = opt_ml / "input" / "data" / "training"
    ended = subprocess.run(
        [
            "docker", "run", "--rm", "--label=kennel.test", "--network=none", "--hostname=algo-1",
            "--shm-size=64m", "--read-only", "--tmpfs=/tmp:size=64m", "--memory=3g",
            f"--volume={opt_ml}:/opt/ml", f"--volume={data}:/opt/ml/input/data/training:ro",
            ImageBuilder(repository=ROOT).build("train"), "train",
        ],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "24 train, 6 valid, 6 test; 0 skipped" in ended.stderr  # the giants among them
    assert "2 rank(s)" in ended.stderr
    assert json.loads((opt_ml / "model" / "model.json").read_text())["labels"] == ["blue", "red"]
