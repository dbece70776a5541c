"""Runs the supervisor with two tiny ranks in its own process, so that tests can send it signals."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from contract.cgroup import memory_kills
from contract.hyperparameters import Hyperparameters
from train import run
from train.host import launch, supervise
from train.host.environment import Environment
from train.host.machine import observe


def main(folder: Path) -> int:
    marks = folder / "marks"
    marks.mkdir()
    place = Environment(master_port=observe().free_port, failure_file=folder / "failure")
    plan = launch.plan(place, Hyperparameters(ranks=2), os.environ, worker="tests.functional.train.tiny_worker")
    variables = {**os.environ, run.ERRORS_VARIABLE: str(marks)}
    outcome = supervise.run(plan, variables, marks, memory_kills=memory_kills)
    if outcome.reason:
        supervise.write_failure(place.failure_file, outcome.reason)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["TINY_FOLDER"])))
