"""The container's entry point as a black box: `python -m train`, by hand and with SageMaker's /opt/ml."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract import metrics

QUICK = {"model": "resnet18", "weights": "none", "resize": "40", "crop": "32", "epochs": "2", "batch_size": "8"}
PATIENCE = 120.0


def pictures(folder: Path) -> None:
    """Pictures of two colours that are easy to distinguish."""
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("valid", 4), ("test", 4)):
        for label, tint in (("blue", 2), ("red", 0)):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (40, 44, 3), dtype=np.uint8)
                pixels[:, :, tint] += 120
                Image.fromarray(pixels).save(folder / split / label / f"{number}.jpg")


def opt_ml(root: Path, hyperparameters: dict[str, str], **resources: Any) -> Path:
    """/opt/ml with pictures in the channel `training`."""
    channel = root / "input" / "data" / "training"
    pictures(channel)
    config = root / "input" / "config"
    config.mkdir()
    about = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    host = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0", **resources}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps({"training": about}))
    (config / "resourceconfig.json").write_text(json.dumps(host))
    return root


def start(root: Path, *argv: str, **environ: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "KENNEL_OPT_ML": str(root), "OMP_NUM_THREADS": "1", **environ}
    command = [sys.executable, "-m", "train", *argv]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(root: Path, *argv: str) -> tuple[int, str, str]:
    child = start(root, *argv)
    out, err = child.communicate(timeout=PATIENCE)
    return child.returncode, out, err


def failure(root: Path) -> str:
    return (root / "output" / "failure").read_text(encoding="utf-8")


def test_without_opt_ml_and_data_two_lines_tell_what_to_do(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert "--data /data --output /out" in err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_lists_every_flag(tmp_path: Path, words: list[str]) -> None:
    code, out, _ = run(tmp_path, *words)
    assert code == 0
    for flag in ("--data", "--output", "--epochs", "--batch-size", "--freeze-backbone", "--max-bad-share"):
        assert flag in out


@pytest.mark.parametrize(
    ("hyperparameters", "words", "reason"),
    [
        ({"epoch": "3"}, (), "unknown hyperparameter 'epoch' (did you mean epochs?)"),
        ({"epochs": '"many"'}, (), "epochs='many': must be a whole number"),
        ({}, ("train", "--epoch", "3"), "unknown hyperparameter '--epoch' (did you mean epochs?)"),
        ({}, ("--epochs", "0"), "epochs=0: must be at least 1"),
        ({}, ("elsewhere",), "unexpected argument 'elsewhere'"),
        ({"ranks": "9", "batch_size": "8"}, (), "batch_size=8 is the global batch, and 9 ranks share it"),
    ],
)
def test_a_wrong_setting_ends_at_once_with_the_reason_in_the_failure_file(
    tmp_path: Path, hyperparameters: dict[str, str], words: tuple[str, ...], reason: str
) -> None:
    root = opt_ml(tmp_path, hyperparameters)
    code, _, err = run(root, *words)
    assert code == 2
    assert failure(root).startswith(reason)
    assert "Traceback" not in err


def test_bad_pictures_end_the_job_before_any_rank_starts(tmp_path: Path) -> None:
    root = opt_ml(tmp_path, {})
    for path in (root / "input/data/training/train/red").iterdir():
        path.write_bytes(b"not a picture")
    code, _, err = run(root)
    assert code == 2
    assert failure(root).startswith("12 of 40 files cannot be used (30.0%, more than max_bad_share=0.05)")
    assert "rank(s)" not in err


def test_a_stop_signal_before_any_rank_has_started_stops_the_run(tmp_path: Path) -> None:
    root = opt_ml(tmp_path, QUICK, current_host="algo-2", hosts=["algo-1.invalid", "algo-2"])
    child = start(root)
    with child.stderr or pytest.fail("no stderr") as lines:
        next(line for line in lines if "2 classes" in line)
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE) == 143
    (child.stdout or pytest.fail("no stdout")).close()
    assert not (root / "output" / "failure").exists()


def test_broken_json_of_the_platform_is_named(tmp_path: Path) -> None:
    root = opt_ml(tmp_path, {})
    (root / "input/config/resourceconfig.json").write_text("{")
    assert run(root)[0] == 2
    assert "resourceconfig.json: cannot be read" in failure(root)


def test_a_job_on_two_ranks_writes_the_files_that_sagemaker_collects(tmp_path: Path) -> None:
    root = opt_ml(tmp_path, {**QUICK, "model": '"resnet18"', "ranks": "2"})
    (root / "output").mkdir()
    (root / "output" / "failure").write_text("of an earlier try")
    (root / "input/data/training/train/red/broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    code, out, err = run(root, "train")
    assert code == 0, err
    found = metrics.parse(out)
    assert [row["epoch"] for row in found if "epoch" in row] == [1.0, 2.0]
    assert "test_top1" in found[-1]
    made = {path.name for path in (root / "model").iterdir()}
    artifact = json.loads((root / "model" / "model.json").read_text(encoding="utf-8"))
    assert made == {"model.json", *artifact["files"]} >= {"golden.json", "model.safetensors", "model.onnx"}
    assert ("model.int8.onnx" in made) is any(
        each["accepted"] and each["engine"]["precision"] == "int8" for each in artifact["serving"]["candidates"]
    )
    written = {path.name for path in (root / "output" / "data").iterdir()}
    report = {"metrics.json", "curves.png", "confusion.png", "per_class.csv", "skipped.csv", "report.html"}
    assert written == report | {"golden.json"}
    assert "train/red/broken.jpg" in (root / "output/data/skipped.csv").read_text()
    assert list((root / "checkpoints").iterdir())
    assert not (root / "output" / "failure").exists()


def test_by_hand_everything_is_written_to_the_output_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "data")
    flags = [word for name, value in QUICK.items() for word in (f"--{name}", value)]
    code, out, err = run(tmp_path / "none", "--data", str(tmp_path / "data"), "--output", str(tmp_path / "out"), *flags)
    assert code == 0, err
    assert metrics.parse(out)
    assert (tmp_path / "out" / "model" / "model.onnx").is_file()
    assert (tmp_path / "out" / "output" / "data" / "report.html").is_file()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def two_hosts(tmp_path: Path, **more: str) -> list[tuple[Path, subprocess.Popen[str]]]:
    """Two hosts of one job, each with its own /opt/ml. Their names resolve to this machine."""
    port, names = free_port(), ["localhost", "localhost.localdomain"]
    found = []
    for name in names:
        resources = {"current_host": name, "hosts": names, "network_interface_name": "lo"}
        root = opt_ml(tmp_path / name, {**QUICK, **more}, **resources)
        found.append((root, start(root, "train", MASTER_PORT=port)))
    return found


def test_two_hosts_train_together_and_only_the_first_writes_the_model(tmp_path: Path) -> None:
    (first, one), (second, two) = two_hosts(tmp_path)
    (out, err), (other, other_err) = (child.communicate(timeout=PATIENCE) for child in (one, two))
    assert (one.returncode, two.returncode) == (0, 0), err + other_err
    assert metrics.parse(out)
    assert metrics.parse(other) == []
    assert (first / "model" / "model.json").is_file()
    assert list((second / "model").iterdir()) == list((second / "output" / "data").iterdir()) == []


def test_a_stop_that_reaches_one_host_stops_both_with_a_checkpoint(tmp_path: Path) -> None:
    (first, one), (second, two) = two_hosts(tmp_path, epochs="10000")
    deadline = time.monotonic() + PATIENCE
    while not list((first / "checkpoints").glob("*.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    two.send_signal(signal.SIGTERM)
    logs = [child.communicate(timeout=PATIENCE)[1] for child in (one, two)]
    assert (one.returncode, two.returncode) == (143, 143)
    assert "Traceback" not in "".join(logs)  # an orderly stop does not look like a crash
    assert list((first / "checkpoints").glob("*.ckpt"))
    assert not (first / "output" / "failure").exists()
    assert not (second / "output" / "failure").exists()


def test_different_pictures_on_two_hosts_are_noticed(tmp_path: Path) -> None:
    (first, one), (second, two) = two_hosts(tmp_path)
    two.kill()
    two.communicate()
    (second / "input/data/training/train/red/0.jpg").unlink()
    port = next(word for word in Path(f"/proc/{one.pid}/environ").read_text().split("\0") if "MASTER_PORT" in word)
    again = start(second, MASTER_PORT=port.partition("=")[2])
    for child in (one, again):
        child.communicate(timeout=PATIENCE)
    assert one.returncode == again.returncode == 1
    assert "the pictures' sha256 differs between ranks" in failure(first)
    assert "the pictures' sha256 differs between ranks" in failure(second)
