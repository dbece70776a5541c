from __future__ import annotations

from pathlib import Path

from contract.hyperparameters import Hyperparameters
from train import run
from train.host.environment import Environment


def test_a_run_survives_its_file() -> None:
    place = Environment(hosts=("a", "b"), current_host="b", channels={"training": Path("/data")}, gpus=2)
    one = run.Run(
        config=Hyperparameters(epochs=3, learning_rate=0.1), environment=place, index_path=Path("/tmp/index.json")
    )
    assert run.Run.from_json(one.to_json()) == one


def test_without_a_supervisor_no_outcome_is_written() -> None:
    run.write_error(ValueError("x"), rank=0, environ={})
    run.write_done(rank=0, environ={})
    assert run.write_stopped(rank=0, environ={}) is False
