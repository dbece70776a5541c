"""What the supervisor hands to every rank: one JSON file, its path in the environment variable KENNEL_RUN."""

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
    """One host's run. `index_path` is the scanned data's index: `train.pictures.index.read_index(run.index_path)`."""

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
    """The Run that the supervisor wrote. Raises KeyError without KENNEL_RUN: ranks are started by `python -m train`."""
    return Run.from_json(Path(environ[RUN_VARIABLE]).read_text(encoding="utf-8"))


def write_error(error: BaseException, *, rank: int, environ: Mapping[str, str] = os.environ) -> None:
    """Called by a rank that fails: the reason, in one or two lines, for /opt/ml/output/failure (rule 13).

    The supervisor takes the earliest one. Does nothing where no supervisor asks for it.
    """
    _mark(f"rank-{rank}.error", f"{type(error).__name__}: {str(error).strip() or 'no message'}", environ)


def write_stopped(*, rank: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Called by a rank that leaves early because it, or another rank anywhere, was told to stop (SIGTERM).

    The host's supervisor then exits as stopped, even if only another host got the signal. True when a supervisor
    reads it: the rank may then exit with 0, which keeps torchrun from printing a traceback over an orderly stop.
    """
    return _mark(f"rank-{rank}.stopped", "", environ)


def write_done(*, rank: int, environ: Mapping[str, str] = os.environ) -> None:
    """Called by a rank after the final barrier: a signal that comes later no longer makes the run a stopped one."""
    _mark(f"rank-{rank}.done", "", environ)


def _mark(name: str, text: str, environ: Mapping[str, str]) -> bool:
    folder = environ.get(ERRORS_VARIABLE)
    if folder:
        part = Path(folder) / f".{name}"
        part.write_text(text, encoding="utf-8")
        part.rename(Path(folder) / name)
    return bool(folder)
