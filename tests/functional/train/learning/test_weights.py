"""The source of the initial weights: the channel before the download, and the error without both."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from contract import models
from contract.models import ModelError, Weights
from train.learning import weights

NAME = "mobilenet_v3_small"


def state() -> dict[str, torch.Tensor]:
    return dict(models.build(NAME, 1000).state_dict())


def offline(_url: str, _cache: Path) -> Path:
    raise OSError("no route to host")


def test_nothing_is_loaded_for_none() -> None:
    assert weights.resolve("none", NAME, None) is None


def test_a_matching_file_of_the_channel_is_used_instead_of_the_download(tmp_path: Path) -> None:
    models.write_weights(tmp_path / "b.safetensors", Weights(state=state(), architecture=NAME, source="channel"))
    models.write_weights(tmp_path / "a.safetensors", Weights(state={}, architecture="resnet50", source="other"))
    found = weights.resolve("imagenet", NAME, tmp_path)
    assert found is not None
    assert found.source == "channel"
    alone = weights.resolve("imagenet", NAME, tmp_path / "b.safetensors")
    assert alone is not None
    assert alone.source == "channel"


def test_without_network_the_error_says_how_to_supply_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no route to host.*channel `weights`.*--weights none"):
        weights.official(NAME, tmp_path, download=offline)


def test_official_weights_are_read_without_running_code_and_have_their_own_mean_and_std(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "official.pth")
    found = weights.official(NAME, tmp_path, download=lambda _url, cache: cache / "official.pth")
    assert found.mean == pytest.approx((0.485, 0.456, 0.406))
    assert found.source == "torchvision MobileNet_V3_Small_Weights.IMAGENET1K_V1"
    assert not models.load(models.build(NAME, 5), found)


def test_a_download_is_kept_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    content = b"weights" * 1000
    good = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    bad = tmp_path / "net-00000000.pth"
    good.write_bytes(content)
    bad.write_bytes(content)
    kept = weights.fetch(good.as_uri(), tmp_path / "cache")
    assert kept.read_bytes() == content
    good.unlink()
    assert weights.fetch(good.as_uri(), tmp_path / "cache") == kept, "the second time nothing is fetched"
    with pytest.raises(OSError, match="damaged"):
        weights.fetch(bad.as_uri(), tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept.name]
