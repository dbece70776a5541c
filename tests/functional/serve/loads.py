"""Loads a server from this process: a closed loop over kept connections, and arrivals at a fixed rate."""

from __future__ import annotations

import ctypes
import http.client
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.unit.serve.pictures import encoded

RED = encoded("red")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """When the request was sent and how long its answer took, in seconds; `retry` is the Retry-After header."""

    status: int
    sent: float
    seconds: float
    retry: str | None


def ask(connection: http.client.HTTPConnection) -> Answer:
    sent = time.monotonic()
    connection.request("POST", "/invocations", RED, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    response.read()
    return Answer(
        status=response.status, sent=sent, seconds=time.monotonic() - sent, retry=response.headers["Retry-After"]
    )


def closed_loop(port: int, *, callers: int, requests: int) -> list[Answer]:
    """Each of `callers` sends `requests` requests, one after the other."""
    answers: list[Answer] = []

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        answers.extend([ask(connection) for _ in range(requests)])
        connection.close()

    _together([call] * callers)
    return answers


def arrivals(port: int, *, rate: float, seconds: float, callers: int) -> list[Answer]:
    """Sends a request every 1/rate seconds, from whichever of `callers` is free."""
    start, turns, lock = time.monotonic(), iter(range(int(rate * seconds))), threading.Lock()
    answers: list[Answer] = []

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return connection.close()
            time.sleep(max(0.0, start + turn / rate - time.monotonic()))
            answers.append(ask(connection))

    _together([call] * callers)
    return answers


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its living children, read from their clocks: /proc counts in hundredths of
    a second, as long as a hundred small requests take."""
    clock = ctypes.c_int()
    if failed := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(failed, os.strerror(failed))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return time.clock_gettime(clock.value) + sum(cpu_seconds(int(child)) for child in children)


def thread_switches(pid: int, kind: str = "voluntary") -> int:
    """Context switches of all threads of a process and its living children: how often a thread went to sleep, or, with
    kind="nonvoluntary", how often one was preempted."""
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    lines = [line for thread in threads for line in (thread / "status").read_text().splitlines()]
    own = sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}_ctxt_switches"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(thread_switches(int(child), kind) for child in children)


def _together(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
