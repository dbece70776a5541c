"""The files between the supervisor and its ranks: run.json, whose path is in KENNEL_RUN, and the outcome of a rank."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.hyperparameters import Hyperparameters
from train.host import environment as place
from train.host.environment import Environment

RUN_VARIABLE = "KENNEL_RUN"
ERRORS_VARIABLE = "KENNEL_ERROR_DIR"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One host's run. `train.pictures.index.read_index` reads the scanned pictures from `index_path`."""

    config: Hyperparameters
    environment: Environment
    index_path: Path

    def to_json(self) -> str:
        values = {
            "config": self.config.to_dict(),
            "environment": place.to_dict(self.environment),
            "index_path": str(self.index_path),
        }
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Run:
        values = json.loads(text)
        return cls(
            config=Hyperparameters(**values["config"]),
            environment=place.from_dict(values["environment"]),
            index_path=Path(values["index_path"]),
        )


def read_run(environ: Mapping[str, str] = os.environ) -> Run:
    """The Run that the supervisor wrote. Raises KeyError without KENNEL_RUN: `python -m train` starts the ranks."""
    return Run.from_json(Path(environ[RUN_VARIABLE]).read_text(encoding="utf-8"))


def write_error(error: BaseException, *, rank: int, environ: Mapping[str, str] = os.environ) -> None:
    """A failing rank writes its reason here, in one or two lines, for /opt/ml/output/failure (rule 13).

    The supervisor takes the earliest reason. Does nothing without a supervisor.
    """
    _mark(f"rank-{rank}.error", f"{type(error).__name__}: {str(error).strip() or 'no message'}", environ)


def write_stopped(*, rank: int, environ: Mapping[str, str] = os.environ) -> bool:
    """A rank calls this before it exits early because a rank on any host got SIGTERM.

    The host's supervisor then exits as stopped, even if only another host got the signal. Returns True when there is a
    supervisor. The rank may then exit with 0, so that torchrun prints no traceback for an orderly stop.
    """
    return _mark(f"rank-{rank}.stopped", "", environ)


def write_done(*, rank: int, environ: Mapping[str, str] = os.environ) -> None:
    """A rank calls this after the final barrier. From now on a signal does not make the run a stopped one."""
    _mark(f"rank-{rank}.done", "", environ)


def _mark(name: str, text: str, environ: Mapping[str, str]) -> bool:
    folder = environ.get(ERRORS_VARIABLE)
    if folder:
        part = Path(folder) / f".{name}"
        part.write_text(text, encoding="utf-8")
        part.rename(Path(folder) / name)
    return bool(folder)
