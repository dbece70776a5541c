"""The exported ONNX computes the same as torch for every family and batch size; a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from contract import artifact, models
from contract.artifact import Manifest
from contract.preprocess import Preprocessing
from train.packaging import export
from train.packaging.export import ExportError

LABELS = ("cat", "dog", "owl")
SIDE = 32


def network(name: str = "mobilenet_v3_small", variant: str = "") -> nn.Module:
    torch.manual_seed(0)
    model = models.build(name, len(LABELS), variant)
    for module in model.modules():  # statistics that differ from the neutral ones, as after training
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.uniform_(models.head_of(model).bias, -1.0, 1.0)
    return model.eval()


def pictures(count: int) -> torch.Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("name", "variant"),
    [("resnet18", ""), ("resnet50", "v1"), ("efficientnet_b0", ""), ("convnext_tiny", ""), ("mobilenet_v3_small", "")],
)
def test_onnx_gives_the_logits_of_torch_for_any_batch_size(name: str, variant: str, tmp_path: Path) -> None:
    model, path = network(name, variant), tmp_path / artifact.NETWORK
    export.write_onnx(model, path, crop=SIDE)
    assert [file.name for file in tmp_path.iterdir()] == [artifact.NETWORK], "one file, weights inside"
    graph = onnx.load(path).graph
    assert [(value.name, len(value.type.tensor_type.shape.dim)) for value in graph.input] == [("pictures", 4)]
    assert [value.name for value in graph.output] == ["logits"]
    served = ReferenceEvaluator(str(path))
    for count in (1, 4):
        with torch.no_grad():
            wanted = model(pictures(count)).numpy()
        got = served.run(None, {"pictures": pictures(count).numpy()})[0]
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_the_artifact_is_whole_and_brings_back_the_network(tmp_path: Path) -> None:
    model = network()
    scale = Preprocessing(resize=40, crop=SIDE, mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.1))
    manifest = Manifest(architecture="mobilenet_v3_small", labels=LABELS, preprocessing=scale)
    (tmp_path / artifact.MANIFEST).write_text("of an earlier run")
    export.export(model.train(), manifest, pictures(1), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.onnx", "model.safetensors"]
    assert artifact.read(tmp_path).preprocessing == scale
    weights = models.read_weights(tmp_path / artifact.WEIGHTS, architecture="mobilenet_v3_small")
    assert (weights.mean, weights.std, weights.labels) == (scale.mean, scale.std, LABELS)
    again = models.build("mobilenet_v3_small", len(LABELS)).eval()
    assert models.load(again, weights, labels=LABELS)
    with torch.no_grad():
        assert torch.equal(again(pictures(2)), model.eval()(pictures(2)))


def test_an_onnx_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    model, path = network(), tmp_path / artifact.NETWORK
    export.write_onnx(model, path, crop=SIDE)
    assert export.check(model, path, pictures(2)) < 1e-4
    proto = onnx.load(path)
    bias = next(value for value in proto.graph.initializer if list(value.dims) == [len(LABELS)])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.1), bias.name))
    onnx.save(proto, path)
    with pytest.raises(ExportError, match=r"differ from torch's by 0\.1"):
        export.check(model, path, pictures(2))


def test_weights_for_another_network_or_no_weights_at_all_are_refused_with_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    models.write_weights(path, models.Weights(state=network().state_dict(), architecture="mobilenet_v3_small"))
    with pytest.raises(models.ModelError, match="--model mobilenet_v3_small"):
        models.read_weights(path, architecture="resnet50")
    path.write_bytes(b"pickle")
    with pytest.raises(models.ModelError, match="not a readable safetensors file"):
        models.read_weights(path, architecture="resnet50")
    assert models.architecture_of(path) == ""
