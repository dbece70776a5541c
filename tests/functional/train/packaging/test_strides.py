"""Strides move to where they save work, and the network computes the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnxruntime import InferenceSession

from contract import models
from train.packaging import strides

SIDE = 64


def exported(name: str, variant: str, path: Path) -> onnx.ModelProto:
    """The network as torch exports it."""
    torch.manual_seed(0)
    torch.onnx.export(
        models.build(name, 3, variant).eval(), (torch.zeros(2, 3, SIDE, SIDE),), path, input_names=["pictures"],
        output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True, verbose=False,
        external_data=False,
    )  # fmt: skip
    return onnx.load(path)


def products(model: onnx.ModelProto) -> int:
    """The multiplications of all convolutions for one picture."""
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    sizes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*inferred.value_info, *inferred.output]
    }
    weights = {tensor.name: math.prod(tensor.dims) for tensor in inferred.initializer}
    found = [node for node in inferred.node if node.op_type == "Conv"]
    return sum(weights[node.input[1]] * math.prod(sizes[node.output[0]][2:]) for node in found)


def strided(model: onnx.ModelProto) -> list[str]:
    """The 1×1 convolutions that have a stride."""
    nodes = [({each.name: list(each.ints) for each in node.attribute}, node.name) for node in model.graph.node]
    return [name for attributes, name in nodes if attributes.get("kernel_shape") == [1, 1] and "Conv" in name
            and attributes.get("strides", [1, 1]) != [1, 1]]  # fmt: skip


def same(before: onnx.ModelProto, after: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    name = before.graph.input[0].name
    sessions = [
        InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]) for each in (before, after)
    ]
    for wanted, got in zip(*(session.run(None, {name: pixels}) for session in sessions), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "variant", "share", "pools"),
    [("resnet50", "v1", 0.903, 3), ("resnet18", "", 1, 3), ("regnet_y_400mf", "", 1, 4)],
)
def test_no_1x1_convolution_has_a_stride_and_the_network_computes_the_same(
    name: str, variant: str, share: float, pools: int, tmp_path: Path
) -> None:
    before = exported(name, variant, tmp_path / "model.onnx")
    after = strides.move(onnx.load(tmp_path / "model.onnx"))
    onnx.checker.check_model(after, full_check=True)
    assert strided(after) == []
    assert sum(node.op_type == "MaxPool" for node in after.graph.node) == pools + sum(
        node.op_type == "MaxPool" for node in before.graph.node
    )
    assert products(after) / products(before) == pytest.approx(share, abs=0.001)
    same(before, after, (2, 3, SIDE, SIDE))


def conv(source: str, target: str, kernel: int, stride: int, **more: object) -> onnx.NodeProto:
    pads = {} if "auto_pad" in more else {"pads": [kernel // 2] * 4}
    return helper.make_node(
        "Conv", [source, f"{target}.w"], [target], name=f"Conv_{target}", kernel_shape=[kernel] * 2,
        strides=[stride] * 2, **pads, **more,
    )  # fmt: skip


def graph(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], side: int) -> onnx.ModelProto:
    """Four channels everywhere, random weights."""
    rng = np.random.default_rng(1)
    kernels = [(node.output[0], next(each.ints[0] for each in node.attribute if each.name == "kernel_shape"))
               for node in nodes if node.op_type == "Conv"]  # fmt: skip
    weights = [
        numpy_helper.from_array(rng.standard_normal((4, 4, size, size)).astype(np.float32), f"{name}.w")
        for name, size in kernels
    ]
    weights.append(numpy_helper.from_array(rng.standard_normal((4, 1, 1)).astype(np.float32), "gate"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, side, side])
    found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    made = helper.make_model(
        helper.make_graph(nodes, "g", [x], found, weights), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    return shape_inference.infer_shapes(made, strict_mode=True)


RELU = helper.make_node("Relu", ["a"], ["r"])
GRAPHS = {
    "the convolution before it takes the stride": ([conv("x", "a", 3, 1), RELU, conv("r", "y", 1, 2)], ["y"]),
    "two strides meet": ([conv("x", "a", 3, 2), conv("a", "b", 1, 2), conv("b", "y", 1, 2)], ["y"]),
    "three strides meet at the picture": ([conv("x", "a", 1, 2), conv("a", "b", 1, 2), conv("b", "y", 1, 2)], ["y"]),
    "another reader needs all": ([conv("x", "a", 3, 1), conv("a", "y", 1, 2), conv("a", "z", 3, 1)], ["y", "z"]),
    "it is an answer itself": ([conv("x", "a", 3, 1), conv("a", "y", 1, 2)], ["y", "a"]),
    "readers of different strides": ([conv("x", "a", 3, 1), conv("a", "y", 1, 2), conv("a", "z", 1, 3)], ["y", "z"]),
    "a sum of two": (
        [conv("x", "b", 3, 1), conv("x", "c", 1, 1), helper.make_node("Add", ["b", "c"], ["a"]), conv("a", "y", 1, 2)],
        ["y"],
    ),
    "a sum with itself": (
        [conv("x", "b", 3, 1), helper.make_node("Add", ["b", "b"], ["a"]), conv("a", "y", 1, 2)],
        ["y"],
    ),
    "a sum with one value a channel": (
        [conv("x", "b", 3, 1), helper.make_node("Add", ["b", "gate"], ["a"]), conv("a", "y", 1, 2)],
        ["y"],
    ),
    "a sum with what it came from": (
        [conv("x", "b", 3, 1), conv("b", "c", 1, 1), helper.make_node("Add", ["b", "c"], ["a"]), RELU,
         conv("r", "y", 1, 2), conv("r", "z", 1, 2)],
        ["y", "z"],
    ),
    "padding by a rule": ([conv("x", "a", 3, 2, auto_pad="SAME_UPPER"), conv("a", "y", 1, 2)], ["y"]),
}  # fmt: skip


@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_outputs_stay_the_same(name: str, side: int) -> None:
    nodes, outputs = GRAPHS[name]
    before = graph(nodes, outputs, side)
    after = strides.move(graph(nodes, outputs, side))
    onnx.checker.check_model(after, full_check=True)
    assert strided(before)
    assert strided(after) == []
    assert products(after) <= products(before)
    same(before, after, (2, 4, side, side))


def test_values_that_no_node_reads_are_not_computed() -> None:
    nodes, outputs = GRAPHS["the convolution before it takes the stride"]
    assert products(strides.move(graph(nodes, outputs, 8))) == 16 * (9 + 1) * 4 * 4
