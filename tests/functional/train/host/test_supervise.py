from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[..., subprocess.Popen[bytes]]
PATIENCE = 60.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor with two tiny ranks in a mode, and ends it after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(mode: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "TINY": mode, "TINY_FOLDER": str(tmp_path)}
        command = [sys.executable, "-m", "tests.functional.train.drive"]
        running.append(subprocess.Popen(command, env=environ, stderr=stderr))
        return running[-1]

    yield begin
    for child in running:
        child.kill()
        child.wait()


def wait_for(folder: Path, *names: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all((folder / name).exists() for name in names):
        assert time.monotonic() < deadline, f"{names} did not come"
        time.sleep(0.05)


def ranks_gone(folder: Path) -> bool:
    deadline = time.monotonic() + 10
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(pids) == 2 and not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_that_is_done_exits_with_0_and_its_ranks_saw_a_terminal_where_there_is_one(
    start: Start, tmp_path: Path, terminal: bool
) -> None:
    ours, theirs = os.openpty() if terminal else os.pipe()
    assert start("done", stderr=theirs).wait(PATIENCE) == 0
    os.close(theirs)
    os.close(ours)
    assert (tmp_path / "terminal-0").read_text() == str(terminal)
    assert not (tmp_path / "failure").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_every_rank_which_saves_and_exits(
    start: Start, tmp_path: Path, number: int, code: int
) -> None:
    child = start("wait")
    wait_for(tmp_path, "ready-0", "ready-1")
    child.send_signal(number)
    assert child.wait(PATIENCE) == code
    assert (tmp_path / "checkpoint-0").exists()
    assert (tmp_path / "checkpoint-1").exists()
    assert not (tmp_path / "failure").exists()
    assert ranks_gone(tmp_path)


def test_a_second_signal_ends_ranks_that_do_not_listen(start: Start, tmp_path: Path) -> None:
    child = start("stubborn")
    wait_for(tmp_path, "ready-0", "ready-1")
    child.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == 143
    assert ranks_gone(tmp_path)


def test_ranks_that_another_host_stopped_make_this_host_stopped_too(start: Start, tmp_path: Path) -> None:
    assert start("stopped-elsewhere").wait(PATIENCE) == 143


def test_a_failing_rank_s_error_becomes_the_reason_and_the_others_are_ended(start: Start, tmp_path: Path) -> None:
    assert start("fail").wait(PATIENCE) == 1
    assert (tmp_path / "failure").read_text() == "ValueError: picture train/a/7.jpg has no pixels"
    assert ranks_gone(tmp_path)


def test_the_last_line_of_a_rank_that_dies_without_an_error_is_the_reason(start: Start, tmp_path: Path) -> None:
    assert start("crash").wait(PATIENCE) == 1
    reason = (tmp_path / "failure").read_text()
    assert reason == "training ended with exit code 1: ValueError: picture train/a/7.jpg has no pixels"


def test_a_rank_that_the_kernel_kills_is_named_with_the_likely_cause(start: Start, tmp_path: Path) -> None:
    assert start("kill").wait(PATIENCE) == 1
    reason = (tmp_path / "failure").read_text()
    assert reason.startswith("rank 1 was killed (SIGKILL, exit code 137): most likely out of memory")
    assert ranks_gone(tmp_path)


def test_ranks_do_not_outlive_a_supervisor_that_is_killed(start: Start, tmp_path: Path) -> None:
    child = start("wait")
    wait_for(tmp_path, "ready-0", "ready-1")
    child.kill()
    assert ranks_gone(tmp_path)
