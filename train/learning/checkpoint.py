"""Checkpoints that survive a kill at any moment: written to another file, flushed, renamed, and checked when read.

A file holds a mark, the sha256 of the rest, and the rest in torch's format, which is only read with weights_only.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from train.learning import distributed

MARK = b"kennel-checkpoint-1\n"
KEPT = 2
SUFFIX, PART = ".ckpt", ".part"


class CheckpointError(ValueError):
    """The checkpoints belong to another training. The message says what differs and the fix."""


class Store:
    """The checkpoints of one training in `folder`, newest last. Only rank 0 writes.

    `fingerprint` are the facts that the training to resume must share (train.worker.fingerprint).
    """

    def __init__(
        self, folder: Path, fingerprint: Mapping[str, str], *, warn: Callable[[str], None] | None = None
    ) -> None:
        self._folder, self._fingerprint = folder, dict(fingerprint)
        self._warn = warn or (lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201

    def files(self) -> list[Path]:
        return sorted(self._folder.glob(f"step-*{SUFFIX}"))

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Writes the state after `step` steps, then deletes all checkpoints but the newest KEPT."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:09d}{SUFFIX}"
        write(path, {"fingerprint": self._fingerprint, "state": dict(state)})
        for old in self.files()[:-KEPT]:
            old.unlink()
        return path

    def latest(self) -> dict[str, Any] | None:
        """The newest readable state, the same on every rank; None without one. Skips damaged checkpoints.

        Deletes the checkpoints of a finished training with other settings. Raises CheckpointError for those of an
        unfinished one.
        """
        payload = distributed.together(self._newest)
        payload = distributed.from_first(payload)
        if payload is None:
            return None
        state: dict[str, Any] = decode(payload)["state"]
        return state

    def _newest(self) -> bytes | None:
        if not distributed.is_first():
            return None
        for path in self._folder.glob(f"*{PART}"):
            path.unlink()  # left by a killed write
        for path in reversed(self.files()):
            try:
                payload = read(path)
                held = decode(payload)
            except (OSError, ValueError) as error:
                self._warn(f"checkpoint {path} is damaged ({error}); using the one before it")
                continue
            return payload if self._fits(held, path) else None
        return None

    def _fits(self, held: Mapping[str, Any], path: Path) -> bool:
        then = held["fingerprint"]
        changed = sorted(key for key in {*then, *self._fingerprint} if then.get(key) != self._fingerprint.get(key))
        if not changed:
            return True
        if held["state"].get("finished"):
            self._warn(
                f"{path.parent} holds a finished training with other {', '.join(changed)}: starting from the beginning"
            )
            for old in self.files():
                old.unlink()
            return False
        key = changed[0]
        raise CheckpointError(
            f"{path} belongs to a training with {key}={then.get(key, '')}, now {self._fingerprint.get(key, '')} "
            f"(differing: {', '.join(changed)}): give the same settings and data, or empty {path.parent}"
        )


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Writes `values` to `path`. After a crash the file is either complete or not there."""
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    payload = buffer.getbuffer()
    part = path.with_name(path.name + PART)
    with part.open("wb") as stream:
        stream.write(MARK + hashlib.sha256(payload).digest())
        stream.write(payload)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> bytes:
    """The checked payload of a checkpoint file. Raises ValueError when it is damaged."""
    content = path.read_bytes()
    start = len(MARK) + 32
    if not content.startswith(MARK) or len(content) < start:
        raise ValueError("not a checkpoint or cut short")
    payload = content[start:]
    if hashlib.sha256(payload).digest() != content[len(MARK) : start]:
        raise ValueError("its checksum does not match")
    return payload


def decode(payload: bytes) -> dict[str, Any]:
    """The values of a payload. Raises ValueError for anything else, also for pickled code."""
    try:
        values: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"cannot be decoded: {str(error).splitlines()[0]}") from error
    return values
