"""The connection to the endpoint over real sockets: it is kept, and opened again when stale."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lambda_container.deadline import Deadline
from lambda_container.exchange import Request, UnansweredError
from lambda_container.handler import Application
from lambda_container.network import SystemNetwork
from lambda_container.service import MAX_IDLE_SECONDS, Service
from lambda_container.settings import ServiceAddress
from tests.functional.lambda_container.servers import Received, Reply, Server, serving

REQUEST = Request("POST", "/", {"Host": "127.0.0.1", "Content-Length": "2"}, b"hi")


def service(port: int, clock: Callable[[], float] = lambda: 0.0) -> Service:
    return Service(ServiceAddress("http", "127.0.0.1", port), SystemNetwork(), clock)


def send(service: Service) -> int:
    return service.send(REQUEST, Deadline(5), 1000).status


def test_warm_calls_share_one_connection() -> None:
    with serving(lambda _: Reply(body=b"ok")) as server:
        kept = service(server.port)
        assert [send(kept) for _ in range(5)] == [200] * 5
        assert {request.connection for request in server.requests} == {0}
        kept.close()


def test_a_connection_that_its_server_ends_is_not_kept() -> None:
    with serving(lambda _: Reply(200, {"Connection": "close"})) as server:
        kept = service(server.port)
        assert [send(kept), send(kept)] == [200, 200]
        assert [request.connection for request in server.requests] == [0, 1]


def test_a_connection_idle_for_too_long_is_not_tried() -> None:
    now = [0.0]
    with serving(lambda _: Reply(body=b"ok")) as server:
        kept = service(server.port, lambda: now[0])
        send(kept)
        now[0] += MAX_IDLE_SECONDS + 1
        send(kept)
        assert [request.connection for request in server.requests] == [0, 1]
        kept.close()


class Scripted:
    """A server that hands its first connection to `first` and answers on every later one."""

    def __init__(self, first: Callable[[socket.socket], None]) -> None:
        self.requests = 0
        self.connections = 0
        self._first = first
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, connection: socket.socket) -> None:
        if connection.recv(4096):
            self.requests += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.connections += 1
                    self.answer(connection)
                    if self.connections == 1:
                        self._first(connection)
        except OSError:
            return

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def test_a_connection_closed_while_idle_is_opened_again() -> None:
    closed = threading.Event()

    def close(connection: socket.socket) -> None:
        connection.close()
        closed.set()

    with Scripted(close) as server:
        kept = service(server.port)
        send(kept)
        assert closed.wait(5)
        assert send(kept) == 200
        assert (server.connections, server.requests) == (2, 2)
        kept.close()


def test_a_request_that_a_stale_connection_leaves_unanswered_is_sent_again_once() -> None:
    def read_and_close(connection: socket.socket) -> None:
        connection.recv(4096)

    with Scripted(read_and_close) as server:
        kept = service(server.port)
        send(kept)
        assert send(kept) == 200
        assert (server.connections, server.requests) == (2, 2)
        kept.close()


def test_a_request_on_a_new_connection_is_never_sent_twice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UnansweredError):
            send(service(int(listener.getsockname()[1])))
        thread.join(5)
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 5000


def application(server: Server) -> Application:
    environment = {
        "KENNEL_ENDPOINT_NAME": "dogs",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    return Application(environment, log=lambda _: None)


def test_the_whole_function_runs_over_real_sockets_from_s3_to_the_answer() -> None:
    picture = b"\xff\xd8\xff" + b"x" * 300_000

    def answer(request: Received) -> Reply:
        if request.path == "/dogs/a%20b.jpg":
            return Reply(body=picture)
        return Reply(body=json.dumps({"model": {}, "predictions": [{"label": "a"}], "logits": [[1.0]]}).encode())

    with serving(answer) as server:
        function = application(server)
        event: dict[str, Any] = {"s3": {"bucket": "dogs", "key": "a b.jpg"}}
        for _ in range(3):
            assert function.answer(event, Context())["body"] == "[[1.0]]"
        calls = [request for request in server.requests if request.method == "POST"]
        assert [request.body == picture for request in calls] == [True] * 3
        assert len({request.connection for request in calls}) == 1
        encoded = {"image": base64.b64encode(picture).decode()}
        assert function.answer(encoded, Context())["predictions"] == [{"label": "a"}]
        function.close()
        assert all(request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ") for request in server.requests)
