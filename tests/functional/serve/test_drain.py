"""SIGTERM under load: every request whose connection was accepted is answered, then the process ends with 0."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.functional.serve.processes import Running, server
from tests.unit.serve.artifacts import write_artifact
from tests.unit.serve.pictures import encoded

RED = encoded("red")
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(RED)


class Load:
    """Callers that repeat requests until the port refuses them; counts answers and lost requests."""

    def __init__(self, port: int, callers: int, *, keep: bool) -> None:
        self.port, self.keep = port, keep
        self.answered, self.lost = 0, list[str]()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def join(self) -> None:
        for thread in self._threads:
            thread.join(40)

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while True:
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                return
            try:
                connection.request("POST", "/invocations", RED, {"Content-Type": "image/jpeg"})
                response = connection.getresponse()
                response.read()
                with self._lock:
                    self.answered += 1
                    if response.status != 200:
                        self.lost.append(f"status {response.status}")
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.lost.append(repr(error))
                connection.close()  # else every further request on it fails at once, without end
            if not self.keep:
                connection.close()


def stop(running: Running) -> tuple[int, float]:
    started = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    return running.process.wait(30), time.monotonic() - started


@pytest.mark.parametrize("keep", [True, False], ids=["kept-alive", "new-connections"])
def test_no_accepted_request_is_lost_under_load(keep: bool, tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model", crop=256, work=4)
    with server(model, {"KENNEL_MAX_WAIT": "20"}) as running:
        running.wait_ready()
        load = Load(running.port, 24, keep=keep).start()
        while load.answered < 50:
            time.sleep(0.02)
        code, seconds = stop(running)
        load.join()
    assert load.lost == []
    assert load.answered >= 50
    assert (code, seconds < 20) == (0, True)


def test_connections_that_only_the_kernel_has_accepted_are_served_too(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model")
    with server(model) as running:
        running.wait_ready()
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        worker = int(children[0])
        os.kill(worker, signal.SIGSTOP)  # it accepts nothing, so these connections wait in the kernel's queue
        waiting = [socket.create_connection(("127.0.0.1", running.port), timeout=20) for _ in range(20)]
        for caller in waiting:
            caller.sendall(HEAD + RED)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        os.kill(worker, signal.SIGCONT)
        resumed = time.monotonic()
        answers = [caller.recv(65536).split(b"\r\n")[0] for caller in waiting]
        assert answers == [b"HTTP/1.1 200 OK"] * 20
        assert running.process.wait(30) == 0  # although no caller has closed its side
        assert time.monotonic() - resumed < 10
        for caller in waiting:
            caller.close()


def test_a_request_whose_body_is_still_coming_is_answered(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model")
    with server(model) as running:
        running.wait_ready()
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as caller:
            caller.sendall(HEAD + RED[:100])
            time.sleep(0.3)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            caller.sendall(RED[100:])
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
        assert running.process.wait(30) == 0


def test_an_idle_server_stops_at_once_even_with_a_kept_connection(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model")
    with server(model) as running:
        running.wait_ready()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        connection.request("GET", "/ping")
        connection.getresponse().read()
        code, seconds = stop(running)
        assert (code, seconds < 5) == (0, True)
        connection.close()


def test_a_server_that_still_loads_stops_at_once_and_cleanly(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model", crop=1024, work=40)
    with server(model) as running:
        for _ in range(200):
            with contextlib.suppress(ConnectionRefusedError):
                if running.request("GET", "/ping")[0] == 503:
                    break
            time.sleep(0.05)
        code, seconds = stop(running)
    assert (code, seconds < 10) == (0, True)
