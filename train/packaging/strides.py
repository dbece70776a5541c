"""Moves the strides of 1×1 convolutions to earlier nodes, so that no values are computed and then skipped. Exact.

A 1×1 convolution with stride 2 reads a quarter of its input. In an original ResNet (variant v1) no other node reads
that input, so the nodes before compute three quarters in vain: a tenth of all products of a ResNet-50. Where another
node reads the input too, a 1×1 MaxPool picks the rows and columns first, because OpenVINO computes a strided 1×1
convolution in float32 even in a network of 8-bit integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import onnx
from onnx import helper

Stride: TypeAlias = tuple[int, ...]
NONE: Stride = (1, 1)


def move(model: onnx.ModelProto) -> onnx.ModelProto:
    """Changes the network in place and returns it. Its outputs stay the same; shapes between nodes change."""
    graph = _Graph(model.graph)
    for node in reversed(list(model.graph.node)):  # from the end: a moved stride may reach the next one
        stride = _stride(node)
        if _pointwise(node) and stride != NONE:
            graph.thin(node.input[0], stride)
    del model.graph.value_info[:]  # these shapes may have changed
    return model


@dataclass(frozen=True)
class _Graph:
    """The nodes of a network, in an order where each node comes after the nodes whose outputs it reads."""

    proto: onnx.GraphProto

    def thin(self, tensor: str, stride: Stride) -> None:
        """Removes this stride from the 1×1 convolutions that read `tensor` and gives them fewer rows and columns."""
        readers = [node for node in self._readers(tensor) if _pointwise(node) and _stride(node) == stride]
        source = tensor
        if len(readers) < len(self._readers(tensor)) or not self._thinned(tensor, stride):
            source = self._picked(tensor, stride)
        for node in readers:
            node.input[0] = source
            _set_stride(node, NONE)

    def _thinned(self, tensor: str, stride: Stride) -> bool:
        """Makes the node that computes `tensor` apply the stride. False where that is impossible."""
        node = self._maker(tensor)
        if node is None or tensor in {output.name for output in self.proto.output}:
            return False
        if _plain(node):
            total = tuple(a * b for a, b in zip(_stride(node), stride, strict=True))
            if _pointwise(node):
                node.input[0] = self._fewer(node.input[0], total)
                total = NONE
            _set_stride(node, total)
        elif node.op_type == "Relu" or self._adds_alike(node):
            fewer = {name: self._fewer(name, stride) for name in dict.fromkeys(node.input)}
            node.input[:] = [fewer[name] for name in node.input]
        else:
            return False
        return True

    def _fewer(self, tensor: str, stride: Stride) -> str:
        """The name of the tensor that a reader of `tensor` must read to get it with the stride."""
        alone = len(self._readers(tensor)) == 1
        return tensor if alone and self._thinned(tensor, stride) else self._picked(tensor, stride)

    def _picked(self, tensor: str, stride: Stride) -> str:
        """The name of a tensor with only the rows and columns of `tensor` that the stride keeps."""
        name = f"{tensor}_every_{'_'.join(map(str, stride))}"
        nodes = self.proto.node
        if self._maker(name) is None:
            pool = helper.make_node("MaxPool", [tensor], [name], name=name, kernel_shape=[1, 1], strides=stride)
            maker = self._maker(tensor)
            nodes.insert(0 if maker is None else list(nodes).index(maker) + 1, pool)
        return name

    def _adds_alike(self, node: onnx.NodeProto) -> bool:
        """Whether the node adds two tensors of the same known height and width, without broadcasting."""
        if node.op_type != "Add":
            return False
        first, second = (self._side(name) for name in node.input)
        return first is not None and first == second

    def _side(self, tensor: str) -> tuple[int, int] | None:
        """Height and width of a tensor (N, C, H, W); None where the file does not state them."""
        for value in self.proto.value_info:
            if value.name == tensor:
                sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
                return (sizes[2], sizes[3]) if len(sizes) == 4 and all(sizes[2:]) else None
        return None

    def _readers(self, tensor: str) -> list[onnx.NodeProto]:
        return [node for node in self.proto.node if tensor in node.input]

    def _maker(self, tensor: str) -> onnx.NodeProto | None:
        return next((node for node in self.proto.node if tensor in node.output), None)


def _values(node: onnx.NodeProto, name: str) -> Stride:
    return next((tuple(each.ints) for each in node.attribute if each.name == name), ())


def _plain(node: onnx.NodeProto) -> bool:
    """A two-dimensional convolution with explicit padding or none (no auto_pad)."""
    automatic = any(each.name == "auto_pad" and each.s != b"NOTSET" for each in node.attribute)
    return node.op_type == "Conv" and len(_values(node, "kernel_shape")) == 2 and not automatic


def _pointwise(node: onnx.NodeProto) -> bool:
    """A 1×1 convolution without padding."""
    return _plain(node) and _values(node, "kernel_shape") == (1, 1) and not any(_values(node, "pads"))


def _stride(node: onnx.NodeProto) -> Stride:
    return _values(node, "strides") or NONE


def _set_stride(node: onnx.NodeProto, stride: Stride) -> None:
    kept = [each for each in node.attribute if each.name != "strides"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("strides", stride)])
