from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from contract import artifact
from contract.artifact import ArtifactError, Manifest, Provenance
from contract.preprocess import Preprocessing

MANIFEST = Manifest(
    architecture="resnet18",
    labels=("cat", "dog"),
    preprocessing=Preprocessing(resize=64, crop=48),
    metrics={"test_top1": 0.75},
    hyperparameters={"epochs": 3, "learning_rate": None},
    provenance=Provenance(job_name="job-1"),
    files={"model.onnx": "0" * 64},
)


REFUSED = {"engine": {"name": "onnxruntime", "precision": "fp32"}, "accepted": False, "reason": "slow"}


def values(**changes: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(json.dumps(asdict(MANIFEST)))
    return {**decoded, **changes}


def test_a_manifest_survives_json() -> None:
    assert artifact.parse(values()) == MANIFEST


def test_an_artifact_written_before_the_version_was_recorded_is_read() -> None:
    assert artifact.parse(values(provenance={"job_name": "a"})).provenance == Provenance(
        job_name="a", kennel_version=""
    )


def test_a_manifest_of_format_1_is_served_by_the_fallback_engine() -> None:
    old = {name: value for name, value in values(format_version=1).items() if name != "serving"}
    assert str(artifact.parse(old).serving.engine) == "onnxruntime-fp32"


@pytest.mark.parametrize("version", [0, 3, "1", True, None])
def test_another_format_is_refused_with_what_to_do(version: Any) -> None:
    with pytest.raises(ArtifactError, match=r"but this image understands 2; serve it with the image of the release"):
        artifact.parse(values(format_version=version))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pickle": "x"}, r"unknown keys \['pickle'\]; known are"),
        ({"labels": ["cat"]}, "labels must be a list of two or more names"),
        ({"labels": ["cat", ""]}, "labels must be a list of two or more names"),
        ({"labels": "cats"}, "labels must be a list of two or more names"),
        ({"labels": ["cat", "cat"]}, "labels are not unique"),
        ({"architecture": 5}, "architecture must be str, not int"),
        ({"files": ["model.onnx"]}, "files must be dict, not list"),
        ({"files": {"model.onnx": 5}}, "files.model.onnx must be a sha256"),
        ({"metrics": None}, "metrics must be dict, not NoneType"),
        ({"preprocessing": [1]}, "preprocessing must be dict, not list"),
        ({"preprocessing": {"crop": "a"}}, "crop <= resize"),
        ({"provenance": {"author": "me"}}, "author"),
        ({"serving": []}, "serving must be dict, not list"),
        ({"serving": {"engine": {"name": "tensorrt"}, "machine": {"flags": []}}}, "unknown engine tensorrt-fp32"),
        ({"serving": {"engine": {}, "machine": {"flags": []}, "speed": 1}}, "speed"),
        ({"serving": {"engine": {}, "machine": {"flags": []}, "candidates": [{"engine": {}}]}}, "accepted"),
        ({"serving": {"engine": {}, "machine": {"flags": []}, "candidates": [REFUSED]}}, "none of the accepted"),
        ({"format_version": 1}, r"unknown keys \['serving'\]; known are"),
    ],
)
def test_a_wrong_manifest_is_refused_and_the_key_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        artifact.parse(values(**changes), where="model.json")


@pytest.mark.parametrize("key", ["architecture", "labels", "preprocessing"])
def test_a_manifest_without_a_needed_key_is_refused(key: str) -> None:
    rest = {name: value for name, value in values().items() if name != key}
    with pytest.raises(ArtifactError, match=f"lacks {key}"):
        artifact.parse(rest)


@pytest.mark.parametrize("decoded", [[], "text", None, 5])
def test_json_that_is_no_object_is_refused(decoded: Any) -> None:
    with pytest.raises(ArtifactError, match="must hold an object"):
        artifact.parse(decoded)
