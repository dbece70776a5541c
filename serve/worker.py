"""Gunicorn's threaded worker, but one that loses no request when it is told to stop (CONTRACTS 36)."""

from __future__ import annotations

import select
import socket
import struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

STALL_SECONDS = 30


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

    def _take_waiting(self, listener: Any) -> None:
        while select.select([listener], [], [], 0)[0]:
            self.accept(listener)
