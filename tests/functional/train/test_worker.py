"""Complete ranks on a small folder of pictures: the files that they write, and their errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors import safe_open

from contract import artifact, metrics, models, preprocess
from tests.functional.train import ranks


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks with a frozen backbone, for twice as many epochs as needed."""
    root = tmp_path_factory.mktemp("trained")
    variables = ranks.make_run(root, ranks.pictures(root / "data"), epochs=4, views=3)
    built = {"KENNEL_VERSION": "1.2.3", "KENNEL_GIT_REVISION": "abc123", "KENNEL_IMAGE_DIGEST": "sha256:1"}
    codes = ranks.train({**variables, **built}, 2, root)
    assert codes == [0, 0], (root / "rank-0.log").read_text()
    return root


def test_the_model_folder_holds_exactly_the_artifact_and_no_pickle(trained: Path) -> None:
    names = sorted(path.name for path in (trained / "model").iterdir())
    assert names == ["golden.json", "model.json", "model.onnx", "model.safetensors"]
    manifest = artifact.read(trained / "model")
    assert manifest.labels == ("blue", "green", "red")
    assert manifest.architecture == "mobilenet_v3_small"
    assert {"test_top1", "valid_top1", "train_loss"} <= set(manifest.metrics)
    assert manifest.provenance.kennel_version == "1.2.3"
    assert manifest.provenance.git_revision == "abc123"
    assert manifest.provenance.image_digest == "sha256:1"
    assert manifest.provenance.job_name == "trial"
    assert len(manifest.provenance.data_sha256) == 64
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in (trained / "model").iterdir())


def test_serving_and_training_compute_the_same_from_a_picture(trained: Path) -> None:
    manifest = artifact.read(trained / "model")
    weights = models.read_weights(trained / "model" / artifact.WEIGHTS, architecture=manifest.architecture)
    network = models.build(manifest.architecture, len(manifest.labels), weights.variant).eval()
    assert models.load(network, weights, labels=manifest.labels)
    served = ReferenceEvaluator(str(trained / "model" / artifact.NETWORK))
    for path in sorted((trained / "data" / "test").rglob("*.jpg"))[::3]:
        image = preprocess.open_picture(path.read_bytes(), shorter_side=manifest.preprocessing.resize)
        array = preprocess.to_array(image, manifest.preprocessing)[None]
        with torch.no_grad():
            here = network(torch.from_numpy(array)).numpy()
        there = served.run(None, {artifact.INPUT_NAME: array})[0]
        np.testing.assert_allclose(there, here, atol=1e-4, rtol=1e-4)


def test_only_rank_0_prints_a_line_per_epoch_and_for_the_test_without_a_progress_bar(trained: Path) -> None:
    first, second = ((trained / f"rank-{rank}.log").read_text() for rank in (0, 1))
    rows = metrics.parse(first)
    assert [row["epoch"] for row in rows if "epoch" in row] == [1, 2, 3, 4]
    assert "test_top1" in rows[-1]
    assert metrics.parse(second) == []
    assert "\r" not in first + second


def test_the_report_and_the_ranks_outcome_files_are_written(trained: Path) -> None:
    written = json.loads((trained / "output" / "metrics.json").read_text())
    assert written["split"] == "test"
    assert sum(map(sum, written["confusion"])) == 12
    assert sorted(path.name for path in (trained / "marks").iterdir()) == ["rank-0.done", "rank-1.done"]


def test_training_starts_from_a_model_of_kennel_with_its_head(trained: Path, tmp_path: Path) -> None:
    start = trained / "model" / artifact.WEIGHTS
    variables = ranks.make_run(tmp_path, trained / "data", weights=str(start), epochs=1, learning_rate=1e-9)
    assert ranks.train(variables, 1, tmp_path) == [0], (tmp_path / "rank-0.log").read_text()
    with safe_open(start, "pt") as before, safe_open(tmp_path / "model" / artifact.WEIGHTS, "pt") as after:
        for name in before.keys():  # noqa: SIM118  not a mapping
            torch.testing.assert_close(after.get_tensor(name), before.get_tensor(name), rtol=1e-4, atol=1e-4)


def test_weights_of_the_channel_replace_imagenet_weights_and_set_mean_and_std(trained: Path, tmp_path: Path) -> None:
    network = models.build("mobilenet_v3_small", 10)
    channel = tmp_path / "channel"
    channel.mkdir()
    for name in ("resnet18", "mobilenet_v3_small"):
        made = models.Weights(
            state=network.state_dict(),
            architecture=name,
            mean=(0.4, 0.4, 0.4),
            std=(0.3, 0.3, 0.3),
            source=f"own {name}",
        )
        models.write_weights(channel / f"{name}.safetensors", made)
    variables = ranks.make_run(tmp_path, trained / "data", weights="imagenet", epochs=1)
    ranks.with_channel(variables, "weights", channel)
    assert ranks.train(variables, 1, tmp_path) == [0], (tmp_path / "rank-0.log").read_text()
    manifest = artifact.read(tmp_path / "model")
    assert manifest.preprocessing.mean == (0.4, 0.4, 0.4)
    assert manifest.provenance.weights_source == "own mobilenet_v3_small"


def test_every_rank_exits_with_the_reason_of_the_failed_one(trained: Path, tmp_path: Path) -> None:
    variables = ranks.make_run(tmp_path, trained / "data", weights=str(tmp_path / "nothing.safetensors"))
    assert ranks.train(variables, 2, tmp_path) == [1, 1]
    for rank in (0, 1):
        assert "nothing.safetensors: no such file" in (tmp_path / "marks" / f"rank-{rank}.error").read_text()
    assert not list((tmp_path / "model").iterdir())


def test_hosts_with_different_pictures_are_detected_before_the_first_step(trained: Path, tmp_path: Path) -> None:
    one = ranks.make_run(tmp_path / "one", trained / "data")
    two = ranks.make_run(tmp_path / "two", ranks.pictures(tmp_path / "data", train=8))
    port = str(ranks.free_port())
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    started = [
        ranks.start(ranks.worker, {**own, **shared, "RANK": str(rank)}, output=tmp_path / f"rank-{rank}.log")
        for rank, own in enumerate((one, two))
    ]
    assert ranks.finish(started) == [1, 1]
    assert "pictures' sha256 differs between ranks" in (tmp_path / "one" / "marks" / "rank-0.error").read_text()
