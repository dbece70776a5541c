"""Gunicorn's threaded worker, but one that loses no request when it is told to stop (CONTRACTS 36)."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

STALL_SECONDS = 30
LINGER_SECONDS, LINGER_BYTES = 2.0, 65536


class DrainingWorker(ThreadWorker):
    """Takes what the kernel has accepted for us before it closes the port; gunicorn would let the kernel reset it."""

    def init_process(self) -> None:
        stall = struct.pack("ll", STALL_SECONDS, 0)
        for listener in self.sockets:  # connections inherit it: a caller that stalls half way frees its thread
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive and not enabled:
            for listener in self.sockets:
                self._take_waiting(listener)
                listener.close()  # from now on a caller is refused at once instead of left waiting

    def handle(self, conn: Any) -> Any:
        """Lingers in the request's thread: gunicorn does it in the one that accepts, 2 s for each caller that stays."""
        result = super().handle(conn)
        if result is False:
            _linger(conn.sock)
        return result

    def _take_waiting(self, listener: Any) -> None:
        while select.select([listener], [], [], 0)[0]:
            self.accept(listener)


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
