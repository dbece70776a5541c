"""The model artifact: a folder (or SageMaker's model.tar.gz of it) that training writes and serving reads. No pickle.

model.json          this module's Manifest: architecture, labels, preprocessing, metrics, provenance, checksums
model.safetensors   the weights, for training on
model.onnx          the network for serving: `pictures` float32 (N, 3, crop, crop) to `logits` (N, classes)
model.int8.onnx     when there: the same network quantised; model.json's `serving` says which is to be served, and how
golden.json         when there: pictures with the answers that serving must repeat (contract.golden)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contract import engine, golden
from contract.choice import Choice
from contract.preprocess import Preprocessing

FORMAT_VERSION = 2
READS = (1, 2)  # 1 had no `serving`
MANIFEST, WEIGHTS, NETWORK, INT8_NETWORK = "model.json", "model.safetensors", engine.NETWORK, engine.INT8_NETWORK
INPUT_NAME, OUTPUT_NAME = engine.INPUT_NAME, engine.OUTPUT_NAME


class ArtifactError(ValueError):
    """The artifact is damaged or of an unknown format. The message says where, what and the fix."""


class DamagedError(ArtifactError):
    """A file's checksum differs from the one in model.json."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a model came from. An unknown value is an empty string, as `kennel_version` is in older artifacts."""

    created: str = ""
    data_sha256: str = ""
    image_digest: str = ""
    git_revision: str = ""
    kennel_version: str = ""
    job_name: str = ""
    weights_source: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of model.json.

    `metrics` are numbers by name, `files` maps a file's name to its sha256, `serving` is the engine that packaging
    chose.
    """

    architecture: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    metrics: dict[str, float] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    serving: Choice = field(default_factory=Choice)
    files: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def write(folder: Path, manifest: Manifest) -> Manifest:
    """Writes model.json with the checksums of the files in `folder`. Returns the manifest with `files`.

    Raises ArtifactError when a required file is missing.
    """
    sums = {}
    for name in (WEIGHTS, NETWORK):
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder / name} is missing: the artifact is incomplete")
        sums[name] = sha256(folder / name)
    for name in (INT8_NETWORK, golden.FILE):
        if (folder / name).is_file():
            sums[name] = sha256(folder / name)
    complete = Manifest(**{**manifest.__dict__, "files": sums})
    (folder / MANIFEST).write_text(json.dumps(asdict(complete), indent=2) + "\n", encoding="utf-8")
    return complete


def read(folder: Path, *, whole: bool = True) -> Manifest:
    """Reads and checks an artifact; with `whole` also the checksum of every file. Raises ArtifactError."""
    manifest = parse(_load(folder / MANIFEST), where=str(folder / MANIFEST))
    for name in manifest.files:
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ArtifactError(f"{path}: named in {MANIFEST} but missing; train again or copy the whole artifact")
        if whole:
            verify(folder, manifest, name)
    for name in {NETWORK, manifest.serving.engine.network} - set(manifest.files):
        raise ArtifactError(f"{folder / MANIFEST}: lists no {name}, which is needed to serve; train again")
    return manifest


def verify(folder: Path, manifest: Manifest, name: str) -> None:
    """Compares a file of the artifact with its checksum. Raises DamagedError."""
    if sha256(folder / name) != manifest.files[name]:
        raise DamagedError(f"{folder / name}: checksum differs from {MANIFEST}; the file is damaged or was changed")


def parse(values: Any, *, where: str = MANIFEST) -> Manifest:
    """A Manifest from decoded JSON. Raises ArtifactError, which names the wrong key."""
    if not isinstance(values, dict):
        raise ArtifactError(f"{where}: must hold an object, not {type(values).__name__}")
    version = values.get("format_version")
    if type(version) is not int or version not in READS:
        raise ArtifactError(
            f"{where}: artifact format {version!r}, but this image understands {FORMAT_VERSION}; "
            "serve it with the image of the release that trained it, or train again"
        )
    known = set(Manifest.__dataclass_fields__) - ({"serving"} if version == 1 else set())
    if unknown := sorted(set(values) - known):
        raise ArtifactError(f"{where}: unknown keys {unknown}; known are {sorted(known)}")
    _check_kinds(values, where)
    labels = values.get("labels")
    if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) and label for label in labels):
        raise ArtifactError(f"{where}: labels must be a list of two or more names")
    if len(set(labels)) != len(labels):
        raise ArtifactError(f"{where}: labels are not unique")
    try:
        return Manifest(
            **{
                **values,
                "labels": tuple(labels),
                "preprocessing": Preprocessing.from_dict(values["preprocessing"]),
                "provenance": Provenance(**values.get("provenance", {})),
                "serving": Choice.from_dict(values["serving"]) if "serving" in values else Choice(),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{where}: {type(error).__name__}: {error}") from error


_KINDS: dict[str, type] = {
    "architecture": str,
    "preprocessing": dict,
    "metrics": dict,
    "hyperparameters": dict,
    "provenance": dict,
    "serving": dict,
    "files": dict,
}


def _check_kinds(values: dict[str, Any], where: str) -> None:
    for key, kind in _KINDS.items():
        if key in values and not isinstance(values[key], kind):
            raise ArtifactError(f"{where}: {key} must be {kind.__name__}, not {type(values[key]).__name__}")
    for name, text in values.get("files", {}).items():
        if not isinstance(text, str) or len(text) != 64:
            raise ArtifactError(f"{where}: files.{name} must be a sha256 in hexadecimal")
    missing = sorted({"architecture", "labels", "preprocessing"} - set(values))
    if missing:
        raise ArtifactError(f"{where}: lacks {', '.join(missing)}")


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: give the folder that training wrote") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}") from error
