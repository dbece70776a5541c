"""Gunicorn's threaded worker, but one that loses no request when it is told to stop (CONTRACTS 36).

A kept connection's next request is awaited in the thread that answered the last one, while threads are plenty: gunicorn
takes the connection back to its main thread after every answer, which is two more threads' turns a request. And an
answer leaves in one write: gunicorn sends head and body apart, which wakes the caller twice.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import Any

from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from serve.environment import STAYING_THREADS

STALL_SECONDS = 30
FIRST_SECONDS = 5.0  # a new connection's thread waits so long for its first bytes, as gunicorn's own does
STAY_SECONDS = 10.0
LINGER_SECONDS, LINGER_BYTES = 2.0, 65536


class Answer(wsgi.Response):
    """Holds its head back until there is a body to go with it."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self._head = "".join(lines).encode("latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self.sock.sendall(head + data)

    def close(self) -> None:
        self.send_headers()
        end = b"0\r\n\r\n" if self.chunked else b""
        if self._head or end:
            self.sock.sendall(self._head + end)


class DrainingWorker(ThreadWorker):
    """Takes what the kernel has accepted for us before it closes the port; gunicorn would let the kernel reset it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._staying = threading.BoundedSemaphore(STAYING_THREADS)
        self._stopping = os.eventfd(0, os.EFD_CLOEXEC)

    def init_process(self) -> None:
        stall = struct.pack("ll", STALL_SECONDS, 0)
        for listener in self.sockets:  # connections inherit it: a caller that stalls half way frees its thread
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
        super().init_process()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        super().handle_exit(sig, frame)
        os.eventfd_write(self._stopping, 1)  # nobody reads it, so every thread that stays sees it

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive and not enabled:
            for listener in self.sockets:
                self._take_waiting(listener)
                listener.close()  # from now on a caller is refused at once instead of left waiting

    def handle(self, conn: Any) -> Any:
        """Answers a connection's requests for as long as it may stay in this thread.

        Lingers here: gunicorn does it in the thread that accepts, 2 s for each caller that stays.
        """
        if not conn.initialized and not conn.data_ready:
            conn.data_ready = _readable(FIRST_SECONDS, conn.sock)
        while (result := super().handle(conn)) is True and self._stay(conn):
            pass
        if result is False:
            _linger(conn.sock)
        return result

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answers one request; whether the connection may stay."""
        answer, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, response_class=Answer)
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            answer.force_close()
        parts = self.wsgi(environ, answer.start_response)
        try:
            for part in parts:
                answer.write(part)
            answer.close()
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return not answer.should_close()

    def _stay(self, conn: Any) -> bool:
        """Whether the next request is here. False: let the poller wait for it."""
        if conn.parser.unreader.buf.getvalue():
            return True  # it came with the last one
        if not self.alive or not self._staying.acquire(blocking=False):
            return False
        try:
            return _readable(STAY_SECONDS, conn.sock, self._stopping) and self.alive
        finally:
            self._staying.release()

    def _take_waiting(self, listener: Any) -> None:
        while select.select([listener], [], [], 0)[0]:
            self.accept(listener)


def _readable(seconds: float, *sources: Any) -> bool:
    """Whether there is something to read, or an end, within `seconds`."""
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _linger(connection: socket.socket) -> None:
    """Ends our side, waits shortly for the caller to end theirs, so that the last answer is not cut off by a reset."""
    end, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while left > 0 and (seconds := end - time.monotonic()) > 0:
            connection.settimeout(seconds)
            data = connection.recv(4096)
            if not data:
                break
            left -= len(data)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
