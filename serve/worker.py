"""Gunicorn's ASGI worker, but one that loses no request when it is told to stop (rule 36).

The stock one closes the port on connections that wait in the kernel's backlog, takes a second to hear the signal, and
waits for callers who keep a connection and ask nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from serve.asgi import LEFT

HEARTBEAT_SECONDS = 1.0
LOOK_SECONDS = 0.02  # how often those that are still connected are looked at while draining
IDLE_SECONDS = 1.0  # a caller who had an answer this short ago may have sent the next request already
TAKE_SECONDS = 1.0  # for what the kernel has accepted, however many come meanwhile


class Connection(ASGIProtocol):
    """Its first request has to come within the time that any next one has, and its worker knows whether it is idle."""

    worker: DrainingWorker
    transport: Any
    req_count: int
    _heard = -1  # the request during which data came last
    _idle_since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.worker.connections.add(self)
        self._arm_keepalive_timer()

    def data_received(self, data: bytes) -> None:
        self._heard = self.req_count
        super().data_received(data)

    def _arm_keepalive_timer(self) -> None:
        self._idle_since = self.worker.loop.time()
        super()._arm_keepalive_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.discard(self)
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Closes it unless a request, or a part of one, is here or was answered just now."""
        waits = self._awaiting_request and self._heard != self.req_count and not self.transport.is_closing()
        if waits and self.worker.loop.time() - self._idle_since > IDLE_SECONDS:
            self._keepalive_timeout()

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope["extensions"] = {LEFT: self._is_closed}
        return scope

    def _is_closed(self) -> bool:
        return bool(self._closed)


class DrainingWorker(ASGIWorker):
    """Takes what the kernel has accepted for us before it closes the port, and answers all that was asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()
        self._told = asyncio.Event()

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        self._told.set()

    def handle_quit_signal(self) -> None:
        super().handle_quit_signal()
        self._told.set()

    async def _serve(self) -> None:
        for listener in self.sockets:
            found = await self.loop.create_server(
                lambda: Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            self.servers.append(found)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), HEARTBEAT_SECONDS)
        await self._drain()

    async def _drain(self) -> None:
        end = self.loop.time() + self.cfg.graceful_timeout
        for server in self.servers:
            await self._take_waiting(server)
            server.close()  # from now on a caller is refused at once instead of left waiting
        await asyncio.sleep(LOOK_SECONDS)  # what was taken last becomes a connection
        while self.connections and self.loop.time() < end and not self._quick_shutdown:
            for connection in list(self.connections):
                connection.close_if_idle()
            self.notify()
            await asyncio.sleep(LOOK_SECONDS)

    async def _take_waiting(self, server: asyncio.Server) -> None:
        end = self.loop.time() + TAKE_SECONDS
        while any(map(_readable, server.sockets)) and self.loop.time() < end:
            await asyncio.sleep(0)


def _readable(source: Any) -> bool:
    """Whether there is something to accept."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(0))
