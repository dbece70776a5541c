"""The pictures sent to the servers, and the expected answers, which torch computes in fp32 in its own process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.serving.install import interpreter
from benchmarks.serving.peer import NETWORK, PYTHON, ROOT, TORCH
from benchmarks.serving.server import Server

PICTURES = ROOT / ".kennel" / "cache" / "groceries" / "test"
CONFIDENT = 0.15  # a server's best label must agree if the reference's best leads by this much
FLOAT_TOLERANCE = 1e-3  # of a probability, between float32 engines


class InputsError(RuntimeError):
    """Pictures or a model are missing; the message says how to make them."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Pictures, and for each the probabilities of all labels that torch computes in fp32."""

    pictures: tuple[bytes, ...]
    probabilities: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How a server's answers compare with the reference's.

    largest: the largest difference of a probability. sure: pictures of which the reference is sure (CONFIDENT). wrong:
    how many of these have another best label.
    """

    largest: float
    wrong: int
    sure: int


def pictures(count: int, folder: Path = PICTURES) -> tuple[bytes, ...]:
    """`count` pictures, spread over the classes of the test split. Raises InputsError."""
    paths = sorted(folder.glob("*/*.jpg"))
    if len(paths) < count:
        raise InputsError(f"{folder} has fewer than {count} pictures; download them with ./inv demo")
    step = len(paths) // count
    return tuple(path.read_bytes() for path in paths[::step][:count])


def check_model(model: Path) -> Path:
    """Checks that `model` is an artifact's folder and returns it. Raises InputsError."""
    if not (model / "model.json").is_file():
        raise InputsError(f"{model} has no model.json; train a model with ./inv demo, or see python -m train --help")
    return model


def reference(model: Path, images: Sequence[bytes]) -> Reference:
    """Computes the expected answers with torch, in its own environment. Raises InputsError."""
    python = environment("serving-reference", [*TORCH, *NETWORK], python=interpreter(PYTHON))
    with tempfile.TemporaryDirectory(prefix="kennel-reference-") as name:
        for index, picture in enumerate(images):
            (Path(name) / f"{index:04d}.jpg").write_bytes(picture)
        variables = {"PYTHONPATH": str(ROOT), "BENCHMARK_KIND": "resnet50", "BENCHMARK_MODEL": str(model.resolve())}
        command = [str(python), "-m", "benchmarks.serving.handlers.reference", name]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise InputsError(f"computing the reference failed: {done.stderr.strip()[-1000:]}")
    rows = json.loads(done.stdout.splitlines()[-1])
    return Reference(pictures=tuple(images), probabilities=tuple(tuple(row) for row in rows))


def agreement(answers: Sequence[Sequence[float]], expected: Sequence[Sequence[float]]) -> Agreement:
    """Compares answers with the expected ones. Raises ValueError when an answer has another number of labels."""
    largest, wrong, sure = 0.0, 0, 0
    for answer, row in zip(answers, expected, strict=True):
        largest = max(largest, *(abs(got - expected) for got, expected in zip(answer, row, strict=True)))
        first, second = sorted(row, reverse=True)[:2]
        if first - second >= CONFIDENT:
            sure += 1
            wrong += max(range(len(row)), key=lambda at: answer[at]) != row.index(first)
    return Agreement(largest=largest, wrong=wrong, sure=sure)


def checked(server: Server, known: Reference, *, exact: bool) -> Agreement:
    """Sends every picture to the server and compares its answers.

    exact: its engine computes in float32. Raises ValueError for a wrong label, and, if `exact`, for a probability that
    differs by more than FLOAT_TOLERANCE.
    """
    same = agreement([server.ask(picture) for picture in known.pictures], known.probabilities)
    if same.wrong or (exact and same.largest > FLOAT_TOLERANCE):
        raise ValueError(f"{server.peer.name} does not answer as torch in fp32 does: {same}")
    return same


def sized(size: int, count: int) -> tuple[bytes, ...]:
    """JPEGs of exactly `size` bytes: smaller pictures, padded with zeros after their end. Raises InputsError."""
    small = [picture for picture in pictures(200) if len(picture) <= size][:count]
    if len(small) < count:
        raise InputsError(f"the test split has no {count} pictures of at most {size} bytes")
    return tuple(picture.ljust(size, b"\0") for picture in small)
