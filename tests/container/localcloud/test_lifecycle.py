"""localcloud starts, stops and crashes: no container, network or work folder is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud import daemon
from localcloud.errors import LocalcloudError
from localcloud.state import StateDir
from tests.container.localcloud.sagemaker.training_support import Bench, owned, until

pytestmark = pytest.mark.timeout(180)
ROOT = Path(__file__).resolve().parents[3]
SLEEP = 'import time; print("ready"); time.sleep(600)'


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    daemon.stop(tmp_path / "state")


def start_with_a_job(state_dir: Path, image: str) -> daemon.Status:
    up = daemon.start_background(port=0, state_dir=state_dir)
    bench = Bench(up.endpoint_url, image)
    bench.train("long", SLEEP)
    until(bench.logged("long", "ready"))
    containers, networks = owned(up.info["instance"])
    assert (len(containers), len(networks)) == (1, 1)
    return up


def test_up_is_healthy_and_a_second_up_finds_it(state_dir: Path) -> None:
    first = daemon.start_background(port=0, state_dir=state_dir)
    assert first.healthy
    assert first.info["account"] == "123456789012"
    again = daemon.start_background(port=0, state_dir=state_dir)
    assert again.info["pid"] == first.info["pid"]
    with pytest.raises(LocalcloudError, match="already runs"):
        daemon.start_background(port=0, state_dir=state_dir, region="eu-west-1")
    with pytest.raises(LocalcloudError, match="does not enforce IAM"):
        daemon.start_background(port=0, state_dir=state_dir, iam=True)


def test_down_removes_what_runs_and_down_again_is_harmless(state_dir: Path, base_image: str) -> None:
    up = start_with_a_job(state_dir, base_image)
    began = time.monotonic()
    assert daemon.stop(state_dir)
    assert time.monotonic() - began < 20
    assert owned(up.info["instance"]) == ([], [])
    assert not daemon.status(state_dir).running
    assert not list((state_dir / "work").iterdir())
    assert not daemon.stop(state_dir)


@pytest.mark.parametrize("then", ["up", "down"])
def test_after_a_crash_the_next_up_or_down_cleans(state_dir: Path, base_image: str, then: str) -> None:
    up = start_with_a_job(state_dir, base_image)
    os.kill(up.info["pid"], signal.SIGKILL)
    until(lambda: not daemon.status(state_dir).running)
    assert owned(up.info["instance"])[0], "the crash left no container, so this test shows nothing"
    if then == "up":
        fresh = daemon.start_background(port=0, state_dir=state_dir)
        assert fresh.info["instance"] == up.info["instance"]
    else:
        assert not daemon.stop(state_dir)
    assert owned(up.info["instance"]) == ([], [])


def test_down_finds_the_leftovers_even_when_the_state_folder_was_deleted(state_dir: Path, base_image: str) -> None:
    up = start_with_a_job(state_dir, base_image)
    os.kill(up.info["pid"], signal.SIGKILL)
    until(lambda: not daemon.status(state_dir).running)
    subprocess.run(["rm", "-rf", str(state_dir)], check=True)
    daemon.stop(state_dir)
    assert owned(up.info["instance"]) == ([], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_foreground_leaves_nothing(state_dir: Path, base_image: str, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "localcloud", "--port", "0", "--state-dir", str(state_dir)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: daemon.status(state_dir).healthy)
        bench = Bench(daemon.status(state_dir).endpoint_url, base_image)
        bench.train("long", SLEEP)
        until(bench.logged("long", "ready"))
        process.send_signal(number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert owned(StateDir(state_dir).instance) == ([], [])


def test_a_port_in_use_is_a_clear_error(state_dir: Path, tmp_path: Path) -> None:
    first = daemon.start_background(port=0, state_dir=state_dir)
    with pytest.raises(LocalcloudError, match=f"cannot listen on port {first.info['port']} of 127.0.0.1"):
        daemon.start_background(port=first.info["port"], state_dir=tmp_path / "other")


def test_one_folder_serves_one_localcloud(state_dir: Path) -> None:
    daemon.start_background(port=0, state_dir=state_dir)
    command = [sys.executable, "-m", "localcloud", "--port", "0", "--state-dir", str(state_dir)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert daemon.status(state_dir).healthy


def test_two_localclouds_do_not_touch_each_other(state_dir: Path, tmp_path: Path, base_image: str) -> None:
    one = start_with_a_job(state_dir, base_image)
    other = tmp_path / "other"
    try:
        two = daemon.start_background(port=0, state_dir=other)
        assert two.info["instance"] != one.info["instance"]
    finally:
        daemon.stop(other)
    assert len(owned(one.info["instance"])[0]) == 1


def test_two_ups_at_once_end_with_one_server_for_both(state_dir: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: daemon.start_background(port=0, state_dir=state_dir), range(2)))
    assert both[0].healthy
    assert both[0].info["pid"] == both[1].info["pid"]
    daemon.stop(state_dir)
    time.sleep(2)
    assert not daemon.status(state_dir).running, "the loser took the folder when the winner left it"
