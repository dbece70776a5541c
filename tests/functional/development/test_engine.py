"""Looking for a daemon and starting one, with processes and files that stand in for the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.images.engine import EngineError
from deploy.images.engine_setup import Acts, daemon, look


class Engine:
    """A docker client whose engine answers once `ready` exists."""

    def __init__(self, ready: Path) -> None:
        self.ready = ready
        self.asked: list[list[str]] = []

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        self.asked.append(list(command))
        if "version" in command[1]:
            return (0, "20.10.24\n") if self.ready.exists() else (1, "Cannot connect to the Docker daemon")
        return 1, "not asked for here"


def processes(folder: Path, state: str = "S", **named: str) -> Path:
    for pid, name in named.items():
        (folder / pid.strip("p")).mkdir(parents=True)
        (folder / pid.strip("p") / "stat").write_text(f"{pid.strip('p')} ({name}) {state} 1 7 7 0 -1\n")
    folder.mkdir(exist_ok=True)
    return folder


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def acts(folder: Path, dockerd: str, said: list[str]) -> Acts:
    return Acts(
        log=folder / "state" / "dockerd.log",
        say=said.append,
        run=Engine(folder / "ready"),
        dockerd=dockerd,
        pid_file=folder / "docker.pid",
        proc=processes(folder / "proc"),
        systemd=folder / "no-systemd",
    )


def test_a_living_daemon_is_found_by_its_name_and_not_by_a_number_used_again(tmp_path: Path) -> None:
    assert daemon(processes(tmp_path / "a", p12="bash", p40="dockerd")) == 40
    assert daemon(processes(tmp_path / "b", p12="bash")) is None


def test_a_daemon_that_was_killed_and_not_yet_buried_does_not_live(tmp_path: Path) -> None:
    assert daemon(processes(tmp_path / "proc", state="Z", p40="dockerd")) is None


@pytest.mark.parametrize(("living", "stale"), [({"p7": "bash"}, 7), ({"p7": "dockerd"}, None)])
def test_a_pid_file_is_stale_when_no_daemon_lives(tmp_path: Path, living: dict[str, str], stale: int | None) -> None:
    (tmp_path / "docker.pid").write_text("7")
    proc = processes(tmp_path / "proc", **living)
    host = look({"PATH": ""}, run=Engine(tmp_path / "never"), proc=proc, pid_file=tmp_path / "docker.pid")
    assert (host.version, host.stale_pid) == ("", stale)


def test_a_stale_pid_file_is_removed_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "docker.pid").write_text("7")
    acts(tmp_path, "dockerd", said).do("forget stale pid file")
    assert not (tmp_path / "docker.pid").exists()
    assert "no longer runs" in said[0]


def test_a_daemon_is_started_and_waited_for_until_it_answers(tmp_path: Path) -> None:
    said: list[str] = []
    dockerd = program(tmp_path / "dockerd", f'echo starting; sleep 0.5; : >"{tmp_path / "ready"}"; sleep 3')
    acts(tmp_path, dockerd, said).do("start")
    assert said[-1] == "Docker engine 20.10.24 answers"
    assert (tmp_path / "state" / "dockerd.log").read_text() == "starting\n"


def test_a_daemon_that_ends_at_once_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    dockerd = program(tmp_path / "dockerd", "echo failed to start daemon: no iptables; exit 1")
    with pytest.raises(EngineError, match="no iptables"):
        acts(tmp_path, dockerd, []).do("start")


def test_no_second_daemon_is_started_where_one_answers_by_now(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    dockerd = program(tmp_path / "dockerd", f'touch "{tmp_path / "second"}"')
    acts(tmp_path, dockerd, []).do("start")
    assert not (tmp_path / "second").exists()
