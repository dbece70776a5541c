"""A tiny colour classifier as ONNX, encoded by hand: the serving image holds no `onnx` package.

The network averages each colour channel over the picture and gives one logit a channel: red, green, blue.
`work` puts that many identity convolutions (3×3) in front, to make a slow network of the same answers.
Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

_FLOAT, _INT, _INTS, _TENSOR_FLOAT, _TENSOR_INT64 = 1, 2, 7, 1, 7
IDENTITY = ((10.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 10.0))


def network(
    crop: int,
    *,
    rows: Sequence[Sequence[float]] = IDENTITY,
    work: int = 0,
    names: tuple[str, str] = ("pictures", "logits"),
    batch: str | int = "N",
) -> bytes:
    """A ModelProto: `names[0]` float (batch, 3, crop, crop) to `names[1]` float (batch, len(rows))."""
    source, result = names
    convolutions = [
        _node("Conv", [source if i == 0 else f"c{i - 1}", "kernel"], [f"c{i}"], [_ints("pads", [1, 1, 1, 1])])
        for i in range(work)
    ]
    nodes = [
        *convolutions,
        _node("GlobalAveragePool", [f"c{work - 1}" if work else source], ["pooled"], []),
        _node("Flatten", ["pooled"], ["flat"], []),
        _node("Gemm", ["flat", "weight"], [result], [_int("transB", 1)]),
    ]
    constants = [_tensor("weight", [len(rows), 3], [value for row in rows for value in row])]
    if work:
        kernel = [float(out == into and spot == 4) for out in range(3) for into in range(3) for spot in range(9)]
        constants.append(_tensor("kernel", [3, 3, 3, 3], kernel))
    graph = b"".join(_bytes(1, node) for node in nodes)
    graph += _text(2, "colours") + b"".join(_bytes(5, constant) for constant in constants)
    graph += _bytes(11, _value(source, [batch, 3, crop, crop])) + _bytes(12, _value(result, [batch, len(rows)]))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 13))


def _node(kind: str, inputs: Iterable[str], outputs: Iterable[str], attributes: Iterable[bytes]) -> bytes:
    named = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
    return named + _text(4, kind) + b"".join(_bytes(5, attribute) for attribute in attributes)


def _int(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, _INT)


def _ints(name: str, values: Iterable[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, _INTS)


def _tensor(name: str, shape: Iterable[int], values: Sequence[float]) -> bytes:
    sizes = b"".join(_number(1, size) for size in shape)
    return sizes + _number(2, _TENSOR_FLOAT) + _text(8, name) + _bytes(9, struct.pack(f"<{len(values)}f", *values))


def _value(name: str, shape: Iterable[str | int]) -> bytes:
    sizes = b"".join(_bytes(1, _number(1, size) if isinstance(size, int) else _text(2, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _TENSOR_FLOAT) + _bytes(2, sizes)))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
