"""One folder runs one localcloud; its lock ends with its process."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.state import StateDir


def test_a_locked_folder_is_refused_until_it_is_released(tmp_path: Path) -> None:
    first, second = StateDir(tmp_path), StateDir(tmp_path)
    assert not first.is_running()
    first.acquire()
    first.write_info({"pid": 42, "port": 4566})
    assert second.is_running()
    with pytest.raises(LocalcloudError, match="process 42, port 4566"):
        second.acquire()
    first.release()
    assert not second.is_running()
    second.acquire()
    second.release()


def test_checking_whether_it_runs_does_not_prevent_a_start(tmp_path: Path) -> None:
    state, done = StateDir(tmp_path), threading.Event()
    tmp_path.joinpath("lock").touch()

    def check() -> None:
        while not done.is_set():
            StateDir(tmp_path).is_running()

    checking = threading.Thread(target=check)
    checking.start()
    try:
        for _ in range(50):
            state.acquire()
            state.release()
    finally:
        done.set()
        checking.join()


def _lock_and_exit(folder: Path) -> None:
    StateDir(folder).acquire()


def test_a_process_that_ends_without_release_frees_the_folder(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_lock_and_exit, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not StateDir(tmp_path).is_running()


def test_acquire_replaces_the_information_of_a_crashed_server(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.write_info({"pid": 1, "port": 1})
    state.acquire()
    assert state.info() == {"pid": os.getpid()}
    state.release()


def test_the_path_alone_gives_the_instance(tmp_path: Path) -> None:
    assert StateDir(tmp_path / "a").instance == StateDir(tmp_path / "b" / ".." / "a").instance
    assert StateDir(tmp_path / "a").instance != StateDir(tmp_path / "b").instance
