"""The one interface to inference engines. Training measures with it and serving runs with it, so that the measured
network is the one that serves. Imports an engine's library when it opens a network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from contract.machine import Machine
from contract.preprocess import FloatArray

INPUT_NAME, OUTPUT_NAME = "pictures", "logits"
NETWORK, INT8_NETWORK = "model.onnx", "model.int8.onnx"
KNOWN = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-bf16", "openvino-int8")
# The CPU flags, one of which makes a precision fast and exact. Without them products of 8-bit integers saturate.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "fp32": (),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "int8": ("avx512_vnni", "avx_vnni", "amx_int8"),
}


class EngineError(ValueError):
    """The engine refuses the network, or the network has other shapes than its model.json. Says which and why."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An inference engine: its name and precision. `network` is the file of the artifact that it opens."""

    name: str = "onnxruntime"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if str(self) not in KNOWN:
            raise EngineError(f"unknown engine {self}: choose from {', '.join(KNOWN)}")

    def __str__(self) -> str:
        return f"{self.name}-{self.precision}"

    @property
    def network(self) -> str:
        return INT8_NETWORK if self.precision == "int8" else NETWORK

    def lacks(self, machine: Machine) -> str:
        """What the machine lacks for this engine, in words; "" if it lacks nothing."""
        needs = NEEDS[self.precision]
        return "" if machine.has_any(needs) else f"not supported by this CPU, which has none of {', '.join(needs)}"


FALLBACK = Engine()  # serves every artifact


def named(text: str) -> Engine:
    """The engine with a name like openvino-int8. Raises EngineError."""
    name, _, precision = text.partition("-")
    return Engine(name=name, precision=precision)


ENGINES = tuple(named(text) for text in KNOWN)


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a network. A size that is not an int is free."""

    name: str
    kind: str
    shape: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Network:
    """An opened network. Several threads may call `logits`, which releases the GIL while it computes.

    `streams(callers)` opens the network again for that many concurrent callers, with one thread each. Further callers
    take turns, or wait in the engine's own queue if `queues`. Raises EngineError.
    """

    engine: Engine
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    run: Callable[[FloatArray], Any]
    streams: Callable[[int], Network]
    queues: bool = False

    def logits(self, pictures: FloatArray) -> FloatArray:
        """float32 (N, labels) for pictures float32 (N, 3, crop, crop)."""
        return np.asarray(self.run(pictures), dtype=np.float32)

    def check_shapes(self, *, crop: int, labels: int) -> None:
        """Compares input and output with the artifact's preprocessing and labels. Raises EngineError."""
        _check(self.inputs, INPUT_NAME, (3, crop, crop), "preprocessing's crop")
        _check(self.outputs, OUTPUT_NAME, (labels,), "the number of labels")


def _check(ports: tuple[Port, ...], name: str, shape: tuple[int, ...], source: str) -> None:
    expected = f"{name} float32 (N, {', '.join(map(str, shape))}) by {source}"
    actual = ", ".join(f"{port.name} {port.kind} {port.shape}" for port in ports)
    message = f"the network has {actual or 'nothing'}, but model.json needs {expected}; train or export again"
    if len(ports) != 1 or (ports[0].name, ports[0].kind) != (name, "float32"):
        raise EngineError(message)
    first, *rest = ports[0].shape
    if isinstance(first, int):
        raise EngineError(f"the network takes batches of exactly {first} pictures; export it with a free batch size")
    if len(rest) != len(shape) or any(
        isinstance(have, int) and have != need for have, need in zip(rest, shape, strict=True)
    ):
        raise EngineError(message)


def open_network(source: Path | bytes, engine: Engine, *, threads: int) -> Network:
    """Opens an ONNX file, or its bytes, for one caller with `threads` CPU threads. Further callers take turns.

    Raises EngineError.
    """
    where = source.name if isinstance(source, Path) else engine.network
    opened = _openvino if engine.name == "openvino" else _onnxruntime
    file = str(source) if isinstance(source, Path) else source
    network = _checked(where, engine, lambda: opened(file, engine, threads))
    return replace(network, streams=lambda callers: _checked(where, engine, lambda: network.streams(callers)))


def _checked(where: str, engine: Engine, opened: Callable[[], Network]) -> Network:
    try:
        return opened()
    except Exception as error:  # engines raise many unrelated types, all of which mean a refusal
        raise EngineError(f"{where}: {engine} refuses it: {_one_line(error)}") from error


def _onnxruntime(source: str | bytes, engine: Engine, threads: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep instead of spinning: decoders need the CPUs (ResNet-18 beside other work: 75, not 105 ms).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def ports(nodes: list[Any]) -> tuple[Port, ...]:
        kinds = {"tensor(float)": "float32"}
        return tuple(
            Port(name=node.name, kind=kinds.get(node.type, node.type), shape=tuple(node.shape)) for node in nodes
        )

    return Network(
        engine=engine,
        inputs=ports(session.get_inputs()),
        outputs=ports(session.get_outputs()),
        run=lambda pictures: session.run([OUTPUT_NAME], {INPUT_NAME: pictures})[0],
        # With one thread a session computes in the thread of its caller, for any number of callers.
        streams=lambda _: _onnxruntime(source, engine, 1),
    )


_TABLES = threading.Lock()


def _openvino(source: str | bytes, engine: Engine, threads: int) -> Network:
    import openvino

    # OpenVINO creates its tables of types at first use. Two first uses at once deadlock: one creates the table and
    # waits for the GIL, the other has the GIL and waits for the table.
    with _TABLES:
        tensor = openvino.Tensor(np.zeros(1, dtype=np.float32))
        tensor.get_element_type().to_dtype()
        tensor.data.sum()

    core = openvino.Core()

    def options(callers: int, threads: int) -> dict[str, Any]:
        return {
            "PERFORMANCE_HINT": "LATENCY" if callers == 1 else "THROUGHPUT",
            "NUM_STREAMS": callers,
            "INFERENCE_NUM_THREADS": threads * callers,
            # A container's quota is not a set of cores: pinned threads would compete with other processes for theirs.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if engine.precision == "bf16" else "f32",
        }

    def network(compiled: Any) -> Network:
        requests = threading.local()  # a request serves one caller at a time

        def run(pictures: FloatArray) -> Any:
            if not hasattr(requests, "own"):
                requests.own = compiled.create_infer_request()
            return requests.own.infer({INPUT_NAME: np.ascontiguousarray(pictures)}, share_inputs=True)[OUTPUT_NAME]

        def streams(callers: int) -> Network:
            # Imports the compiled network instead of the file: 0.1 s instead of 0.5, and a fifth less memory.
            return network(core.import_model(compiled.export_model(), "CPU", options(callers, 1)))

        inputs, outputs = _ports(compiled.inputs), _ports(compiled.outputs)
        return Network(engine=engine, inputs=inputs, outputs=outputs, run=run, streams=streams, queues=True)

    return network(core.compile_model(core.read_model(source), "CPU", options(1, threads)))


def _ports(nodes: list[Any]) -> tuple[Port, ...]:
    kinds = {"f32": "float32"}
    return tuple(
        Port(
            name=node.get_any_name(),
            kind=kinds.get(node.element_type.get_type_name(), node.element_type.get_type_name()),
            shape=tuple("N" if size.is_dynamic else size.get_length() for size in node.partial_shape),
        )
        for node in nodes
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
