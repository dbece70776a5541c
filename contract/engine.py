"""The one door to an inference engine: training measures and accepts through it, serving runs through it, so that what
was measured is what serves. Engines are imported when they are opened.
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
# Any one of these makes an arithmetic both fast and exact. Without them products of 8-bit integers saturate.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "fp32": (),
    "bf16": ("avx512_bf16", "amx_bf16"),
    "int8": ("avx512_vnni", "avx_vnni", "amx_int8"),
}


class EngineError(ValueError):
    """A network that an engine refuses, or that is not what it should be; says which and why."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs a network: the engine's name, its arithmetic, and the file of the artifact that it opens."""

    name: str = "onnxruntime"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if str(self) not in KNOWN:
            raise EngineError(f"no engine is called {self}: choose from {', '.join(KNOWN)}")

    def __str__(self) -> str:
        return f"{self.name}-{self.precision}"

    @property
    def network(self) -> str:
        return INT8_NETWORK if self.precision == "int8" else NETWORK

    def lacks(self, machine: Machine) -> str:
        """What this machine lacks for it, in words; "" when it has all."""
        needs = NEEDS[self.precision]
        return "" if machine.has_any(needs) else f"not supported by this CPU, which has none of {', '.join(needs)}"


FALLBACK = Engine()  # what every artifact can be served with


def named(text: str) -> Engine:
    """The engine of a name such as openvino-int8. Raises EngineError."""
    name, _, precision = text.partition("-")
    return Engine(name=name, precision=precision)


ENGINES = tuple(named(text) for text in KNOWN)


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output as the network declares it; a size that is not an int is free."""

    name: str
    kind: str
    shape: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Network:
    """An opened network. `logits` may be called from several threads, and releases the GIL while it computes.

    `streams` opens it once more, for so many callers at a time on one thread each; more than those take turns, or wait
    in the engine's own queue where it `queues`. Raises EngineError.
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
        """Holds input and output against what the artifact says. Raises EngineError."""
        _check(self.inputs, INPUT_NAME, (3, crop, crop), "preprocessing's crop")
        _check(self.outputs, OUTPUT_NAME, (labels,), "the number of labels")


def _check(ports: tuple[Port, ...], name: str, shape: tuple[int, ...], source: str) -> None:
    wanted = f"{name} float32 (N, {', '.join(map(str, shape))}) by {source}"
    told = ", ".join(f"{port.name} {port.kind} {port.shape}" for port in ports)
    where = f"the network has {told or 'nothing'}, but model.json needs {wanted}; train or export again"
    if len(ports) != 1 or (ports[0].name, ports[0].kind) != (name, "float32"):
        raise EngineError(where)
    first, *rest = ports[0].shape
    if isinstance(first, int):
        raise EngineError(f"the network takes exactly {first} pictures; export it with a free batch size")
    if len(rest) != len(shape) or any(
        isinstance(have, int) and have != need for have, need in zip(rest, shape, strict=True)
    ):
        raise EngineError(where)


def open_network(source: Path | bytes, engine: Engine, *, threads: int) -> Network:
    """The network in an ONNX file, or in its bytes, for one caller with so many CPU threads; more callers take turns.

    Raises EngineError.
    """
    where = source.name if isinstance(source, Path) else engine.network
    opened = _openvino if engine.name == "openvino" else _onnxruntime
    file = str(source) if isinstance(source, Path) else source
    found = _refusing(where, engine, lambda: opened(file, engine, threads))
    return replace(found, streams=lambda callers: _refusing(where, engine, lambda: found.streams(callers)))


def _refusing(where: str, engine: Engine, opened: Callable[[], Network]) -> Network:
    try:
        return opened()
    except Exception as error:  # each engine has a dozen unrelated exception types, all meaning that it refuses
        raise EngineError(f"{where}: {engine} refuses it: {_one_line(error)}") from error


def _onnxruntime(source: str | bytes, engine: Engine, threads: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: decoders want the CPUs they would spin on (ResNet-18 beside other work: 75, not 105 ms).
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
        # with one thread a session computes in its caller's own, whoever and how many they are
        streams=lambda _: _onnxruntime(source, engine, 1),
    )


_TABLES = threading.Lock()


def _openvino(source: str | bytes, engine: Engine, threads: int) -> Network:
    import openvino

    # Its tables of types are made at first use, and two first uses at once wait for each other for ever: one makes the
    # table and wants the interpreter's lock, the other has that lock and wants the table.
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
            # A container's quota is not a set of cores: threads that are pinned to some fight over them with others.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if engine.precision == "bf16" else "f32",
        }

    def network(compiled: Any) -> Network:
        requests = threading.local()  # one computes for one caller at a time

        def run(pictures: FloatArray) -> Any:
            if not hasattr(requests, "own"):
                requests.own = compiled.create_infer_request()
            return requests.own.infer({INPUT_NAME: np.ascontiguousarray(pictures)}, share_inputs=True)[OUTPUT_NAME]

        def streams(callers: int) -> Network:
            # What was compiled, not the file: 0.1 s instead of 0.5, and a fifth less memory.
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
