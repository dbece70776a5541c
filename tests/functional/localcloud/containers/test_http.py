"""The HTTP client of containers over real sockets: it keeps connections alive and distinguishes three failures."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from localcloud.containers.http import BrokenError, PooledHttpClient, Response, TimedOutError, UnreachableError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def server(handle: Callable[[socket.socket, int], None]) -> Iterator[tuple[PooledHttpClient, list[int]]]:
    """Handles every connection in a thread. The list holds the numbers of the accepted connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[int] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(len(accepted) + 1)
            threading.Thread(target=handle, args=(connection, len(accepted)), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    http = PooledHttpClient("127.0.0.1", listener.getsockname()[1])
    try:
        yield http, accepted
    finally:
        http.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def ask(http: PooledHttpClient, timeout: float = 5) -> Response:
    return http.request("POST", "/invocations", body=b"x", headers={"X-Mine": "1"}, timeout=timeout)


def test_connections_are_kept_and_used_again() -> None:
    def handle(connection: socket.socket, _: int) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(OK)

    with server(handle) as (http, accepted):
        assert [ask(http).body for _ in range(5)] == [b"ok"] * 5
        assert accepted == [1]


def test_a_kept_connection_that_the_container_dropped_fails_no_request() -> None:
    def handle(connection: socket.socket, number: int) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(OK)
            if number > 1:
                return
            connection.recv(65536)  # takes the second request and closes without a word

    with server(handle) as (http, accepted):
        assert ask(http).status == 200
        assert ask(http).status == 200
        assert accepted == [1, 2]


def test_no_answer_in_time_is_a_time_out_and_is_not_retried() -> None:
    done = threading.Event()

    def handle(connection: socket.socket, _: int) -> None:
        with connection:
            done.wait(5)

    with server(handle) as (http, accepted):
        with pytest.raises(TimedOutError):
            ask(http, timeout=0.2)
        assert accepted == [1]
        done.set()


def test_a_connection_closed_without_an_answer_is_broken() -> None:
    def handle(connection: socket.socket, _: int) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with server(handle) as (http, _), pytest.raises(BrokenError):
        ask(http)


def test_a_port_that_nobody_serves_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnreachableError):
        ask(PooledHttpClient("127.0.0.1", port))
