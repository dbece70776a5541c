"""One folder, one localcloud; the lock dies with its process."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.state import StateDir


def test_a_taken_folder_is_refused_and_free_again_after_release(tmp_path: Path) -> None:
    first, second = StateDir(tmp_path), StateDir(tmp_path)
    assert not first.held()
    first.acquire()
    first.write_info({"pid": 42, "port": 4566})
    assert second.held()
    with pytest.raises(LocalcloudError, match="process 42, port 4566"):
        second.acquire()
    first.release()
    assert not second.held()
    second.acquire()
    second.release()


def test_asking_whether_it_is_held_does_not_stop_a_start(tmp_path: Path) -> None:
    state, done = StateDir(tmp_path), threading.Event()
    tmp_path.joinpath("lock").touch()

    def ask() -> None:
        while not done.is_set():
            StateDir(tmp_path).held()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            state.acquire()
            state.release()
    finally:
        done.set()
        asking.join()


def _take_and_die(folder: Path) -> None:
    StateDir(folder).acquire()


def test_a_process_that_ends_without_a_word_frees_the_folder(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_take_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not StateDir(tmp_path).held()


def test_who_takes_the_folder_says_so_at_once_instead_of_what_a_crashed_one_said(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.write_info({"pid": 1, "port": 1})
    state.acquire()
    assert state.info() == {"pid": os.getpid()}
    state.release()


def test_the_instance_follows_from_the_path_alone(tmp_path: Path) -> None:
    assert StateDir(tmp_path / "a").instance == StateDir(tmp_path / "b" / ".." / "a").instance
    assert StateDir(tmp_path / "a").instance != StateDir(tmp_path / "b").instance
