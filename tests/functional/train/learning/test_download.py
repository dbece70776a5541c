from __future__ import annotations

from pathlib import Path

import pytest
import torch

from contract import models
from train.learning import download

SMALL = "mobilenet_v3_small"


def official(url: str, cache: Path) -> Path:
    """Replaces torchvision's server: a state dict like its files."""
    assert url.startswith("https://")
    path = cache / "state.pth"
    torch.manual_seed(0)
    torch.save(models.build(SMALL, 1000).state_dict(), path)
    return path


def unreachable(url: str, cache: Path) -> Path:
    raise OSError("Name or service not known")


def test_official_weights_become_a_safetensors_file_that_training_reads(tmp_path: Path) -> None:
    assert download.main([SMALL, str(tmp_path / "w.safetensors")], download=official) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    found = models.read_weights(tmp_path / "w.safetensors", architecture=SMALL)
    assert (found.architecture, found.variant, found.mean) == (SMALL, "", (0.485, 0.456, 0.406))
    assert "torchvision" in found.source
    torch.manual_seed(0)
    expected = models.build(SMALL, 1000).state_dict()
    assert all(torch.equal(found.state[name], expected[name]) for name in expected)


def test_an_unreachable_source_is_exit_code_3_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert download.main([SMALL, str(tmp_path / "w.safetensors")], download=unreachable) == 3
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_model_is_exit_code_2(tmp_path: Path) -> None:
    assert download.main(["resnet19", str(tmp_path / "w.safetensors")], download=official) == 2
