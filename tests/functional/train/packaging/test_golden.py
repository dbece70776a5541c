"""The artifact's network answers its golden pictures as recorded, and a change of the file is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from contract import artifact, golden
from contract.artifact import ArtifactError, Manifest
from contract.preprocess import Preprocessing, open_picture, to_array
from tests.functional.train.packaging.test_export import LABELS, SIDE, network, pictures
from train.packaging import export
from train.packaging import golden as making
from train.pictures.index import Sample

SCALE = Preprocessing(resize=40, crop=SIDE)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    made = []
    for index in range(9):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (300, 200 + index), (25 * index, 99, 180)).save(path)
        made.append(Sample(path=path, label=index % len(LABELS)))
    return made


def test_an_artifact_has_golden_pictures_with_its_own_answers(samples: list[Sample], tmp_path: Path) -> None:
    model = network()
    manifest = Manifest(architecture="mobilenet_v3_small", labels=LABELS, preprocessing=SCALE)
    written = export.export(model, manifest, pictures(1), tmp_path / "model", held_out=samples)
    found = golden.loads((tmp_path / "model" / golden.FILE).read_bytes())
    assert len(found) == making.COUNT
    assert golden.FILE in written.files
    for each in found:
        image = open_picture(each.picture, shorter_side=SCALE.resize)
        assert min(image.size) == SCALE.resize, "as small as preprocessing allows"
        with torch.no_grad():
            answer = model(torch.from_numpy(to_array(image, SCALE))[None]).softmax(dim=1)[0].tolist()
        assert golden.difference(each, answer) < 1e-5
    (tmp_path / "model" / golden.FILE).write_text('{"pictures": []}')
    with pytest.raises(ArtifactError, match=r"golden\.json: checksum differs"):
        artifact.read(tmp_path / "model")


def test_without_pictures_an_earlier_golden_file_is_deleted(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / golden.FILE).write_text("of an earlier run")
    manifest = Manifest(architecture="mobilenet_v3_small", labels=LABELS, preprocessing=SCALE)
    assert golden.FILE not in export.export(network(), manifest, pictures(1), tmp_path).files
