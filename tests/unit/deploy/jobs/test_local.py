"""Training on this machine: the docker argv, and what is read of its containers. Docker is a fake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.errors import JobError
from deploy.jobs import request as jobs
from deploy.jobs.local import LocalBackend, configuration, lines
from deploy.jobs.local import command as docker_command
from deploy.jobs.request import JobRequest


@dataclass
class Docker:
    """Answers a docker command by its second word."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        self.commands.append([*command, f"{timeout:g}"])
        return self.answers.get(command[1], (0, ""))


def job(settings: Settings, **more: Any) -> JobRequest:
    given = {"image": "kennel/train:1", "data": "pictures", "data_hash": "abc", "instance_type": "local"}
    return jobs.request(settings, **{**given, "instance_count": 1, **more})


@pytest.mark.parametrize("gpus", [True, False])
def test_the_command_mounts_the_run_and_its_channels_and_hands_gpus_on(settings: Settings, gpus: bool) -> None:
    request = job(settings, weights="w")
    sources = {"training": Path("/data/pictures"), "weights": Path("/data/w")}
    argv = docker_command(request, folder=Path("/runs/j"), sources=sources, gpus=gpus)
    assert argv[:3] == ["docker", "run", "--detach"]
    assert argv[-2:] == ["kennel/train:1", "train"]  # rule 1
    assert ("--gpus=all" in argv) is gpus
    assert "--ipc=host" in argv  # pain 17: no bus errors
    assert "--stop-timeout=120" in argv  # rule 16
    volumes = [word.removeprefix("--volume=") for word in argv if word.startswith("--volume=")]
    assert volumes == [
        "/runs/j:/opt/ml",
        "/data/pictures:/opt/ml/input/data/training:ro",
        "/data/w:/opt/ml/input/data/weights:ro",
    ]
    assert f"--env=TRAINING_JOB_NAME={request.name}" in argv


def test_the_configuration_is_that_of_one_host(settings: Settings) -> None:
    files = configuration(job(settings))
    assert files["resourceconfig.json"] == {"current_host": "algo-1", "hosts": ["algo-1"]}
    assert files["inputdataconfig.json"]["training"]["TrainingInputMode"] == "File"
    assert files["hyperparameters.json"]["epochs"] == "15"


def test_more_than_one_host_is_refused_before_anything_is_made(settings: Settings) -> None:
    docker = Docker()
    with pytest.raises(JobError, match="one machine, with all of its GPUs"):
        LocalBackend(runs=Path("/nowhere"), run=docker).start(job(settings, instance_count=4))
    assert docker.commands == []


def test_lines_of_both_streams_come_in_the_order_of_time() -> None:
    output = "2026-11-21T05:00:02.000000002Z out\n2026-11-21T05:00:01.5Z err one\n"
    docker = Docker({"logs": (0, output)})
    assert [row.partition(" ")[2] for row in lines(docker, "c") or ()] == ["err one", "out"]
    assert lines(Docker({"logs": (1, "no such container")}), "c") is None
