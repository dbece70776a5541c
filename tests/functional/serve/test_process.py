"""The server as a process: it starts, refuses, bounds, recovers and stops as SageMaker expects."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import artifact
from tests.functional.serve.processes import Running, server
from tests.unit.serve.artifacts import write_artifact
from tests.unit.serve.pictures import encoded

RED = encoded("red")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[Running]:
    with server(model, {"KENNEL_MAX_BODY_BYTES": "200000"}) as running:
        running.wait_ready()
        yield running


def classify(running: Running) -> str:
    status, body = running.request("POST", "/invocations", RED, Content_Type="image/jpeg")
    assert status == 200, body
    return str(json.loads(body)["predictions"][0]["label"])


def test_it_listens_on_the_platforms_port_and_classifies(running: Running) -> None:
    assert classify(running) == "red"


def test_an_answer_arrives_in_one_piece_so_that_its_caller_wakes_once(running: Running) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(RED)
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as caller:
        for _ in range(20):
            caller.sendall(head + RED)
            first = caller.recv(65536)
            assert first.startswith(b"HTTP/1.1 200 ")
            assert first.endswith(b"}]}")


def test_a_body_streamed_without_a_length_is_read_and_is_bounded_too(running: Running) -> None:
    chunks = [RED[i : i + 100] for i in range(0, len(RED), 100)]
    assert running.request("POST", "/invocations", iter(chunks), Content_Type="image/jpeg")[0] == 200
    status, body = running.request("POST", "/invocations", iter([b"x" * 50_000] * 8), Content_Type="image/jpeg")
    assert (status, json.loads(body)["error"]["code"]) == (413, "body-too-large")


def test_a_body_announced_too_large_is_refused_with_an_answer_that_arrives(running: Running) -> None:
    status, body = running.request("POST", "/invocations", b"x" * 3_000_000, Content_Type="image/jpeg")
    assert (status, json.loads(body)["error"]["code"]) == (413, "body-too-large")


def test_a_caller_that_waits_for_100_continue_gets_it_or_the_error(running: Running) -> None:
    asks = b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    asks += b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as caller:
        caller.sendall(asks % (b"image/jpeg", len(RED)))
        assert caller.recv(65536).startswith(b"HTTP/1.1 100 ")
        caller.sendall(RED)
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
        caller.sendall(asks % (b"image/jpeg", 300_000))
        assert caller.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_head_request_gets_the_head_alone(running: Running) -> None:
    assert running.request("HEAD", "/ping") == (200, b"")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as caller:
        for _ in range(2):
            caller.sendall(b"HEAD /model HTTP/1.1\r\nHost: x\r\n\r\n")
            assert caller.recv(65536).endswith(b"\r\n\r\n")


def test_requests_sent_without_waiting_are_answered_in_order(running: Running) -> None:
    bad, good = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % n
        for n in (1, len(RED))
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as caller:
        caller.sendall((bad + b"x" + good + RED) * 3)
        received = b""
        while received.count(b"HTTP/1.1 ") < 6 or not received.endswith(b"}]}"):
            received += caller.recv(65536)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"422", b"200"] * 3


def test_a_caller_that_leaves_half_way_harms_nobody(running: Running) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", running.port)) as half:
            half.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 999\r\n\r\nabc"
            )
    assert classify(running) == "red"


def test_a_request_that_is_no_http_gets_a_400_and_the_next_is_served(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as rude:
        rude.settimeout(10)
        rude.sendall(b"\x16\x03\x01rubbish\r\n\r\n")
        assert b" 400 " in rude.recv(1000).split(b"\r\n")[0]
    assert classify(running) == "red"


def test_callers_that_stall_do_not_keep_ping_from_answering(running: Running) -> None:
    stalled = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
    try:
        for caller in stalled:
            caller.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n"
            )
        started = time.monotonic()
        assert running.request("GET", "/ping")[0] == 200
        assert time.monotonic() - started < 2
    finally:
        for caller in stalled:
            caller.close()


def test_callers_that_do_not_close_their_side_do_not_hold_up_the_next(running: Running) -> None:
    staying = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(10)]
    try:
        for caller in staying:
            caller.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        started = time.monotonic()
        assert running.request("GET", "/ping")[0] == 200
        assert time.monotonic() - started < 1
    finally:
        for caller in staying:
            caller.close()


def test_a_connection_is_kept_for_the_next_request(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/invocations", RED, {"Content-Type": "image/jpeg"})
        assert connection.getresponse().read()
    assert connection.sock is not None
    connection.close()


def test_large_bodies_follow_one_another_on_one_connection(model: Path) -> None:
    """Each request is sent as soon as the last is answered, before the server reads from the connection again."""
    body = json.dumps({"images": [base64.b64encode(RED + bytes(1_500_000)).decode()]})
    with server(model) as running:
        running.wait_ready()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        for _ in range(60):
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert (response.status, response.read()[:1]) == (200, b"{")
        connection.close()


def test_more_requests_than_are_admitted_get_503_with_retry_after_and_ping_still_answers(tmp_path: Path) -> None:
    slow = write_artifact(tmp_path / "slow", crop=512, work=12)
    with server(slow, {"KENNEL_MAX_REQUESTS": "2"}) as running:
        running.wait_ready()
        answers: list[tuple[int, str | None]] = []

        def call() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
            connection.request("POST", "/invocations", RED, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            answers.append((response.status, response.headers["Retry-After"]))
            connection.close()

        callers = [threading.Thread(target=call) for _ in range(12)]
        for caller in callers:
            caller.start()
        started = time.monotonic()
        assert running.request("GET", "/ping")[0] == 200
        assert time.monotonic() - started < 2
        for caller in callers:
            caller.join()
        assert set(answers) == {(200, None), (503, "1")}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / artifact.MANIFEST).unlink(), "model.json is missing"),
        (lambda folder: (folder / artifact.NETWORK).write_bytes(b"other"), "checksum differs"),
        (lambda folder: (folder / artifact.MANIFEST).write_text('{"format_version": 9}'), "artifact format 9"),
    ],
)
def test_an_artifact_that_is_not_understood_ends_the_server_saying_why(damage, reason: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_artifact(tmp_path / "model")
    damage(folder)
    with server(folder) as running:
        assert running.process.wait(20) == 3
        output = running.output()
    lines = [line for line in output.splitlines() if line.startswith("kennel serve:")]
    assert len(lines) == 1
    assert reason in lines[0]
    assert "Traceback" not in output


def test_the_port_accepts_and_ping_says_503_while_the_model_loads(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "model", crop=1024, work=40)
    statuses = set()
    with server(folder) as running:
        end = time.monotonic() + 30
        while 200 not in statuses and time.monotonic() < end:
            try:
                statuses.add(running.request("GET", "/ping")[0])
            except ConnectionRefusedError:
                assert not statuses, "once the port listens it stays"
    assert statuses == {503, 200}


def test_a_killed_worker_is_replaced(model: Path) -> None:
    with server(model) as running:
        running.wait_ready()
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        time.sleep(0.3)
        running.wait_ready()
        assert classify(running) == "red"


def test_it_writes_nothing_beside_the_model(running: Running, model: Path) -> None:
    classify(running)
    assert sorted(path.name for path in model.iterdir()) == ["model.json", "model.onnx", "model.safetensors"]
