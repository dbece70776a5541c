"""Gunicorn's ASGI worker, changed to lose no request when it stops (rule 36).

The original drops connections that wait in the kernel's backlog, takes up to a second to react to the signal, and waits
for callers that keep an idle connection open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from serve.asgi import CONNECTION

HEARTBEAT_SECONDS = 1.0
POLL_SECONDS = 0.02  # between two looks at the open connections while draining
IDLE_SECONDS = 1.0  # a caller that got an answer more recently may already have sent its next request
ACCEPT_SECONDS = 1.0  # at most, to accept connections from the kernel's backlog before the port closes


class Connection(ASGIProtocol):
    """A connection that times out when its first request does not come, and that can close itself when idle."""

    worker: DrainingWorker
    transport: Any
    req_count: int
    _last_data = -1  # the number of the request during which data came last
    _idle_since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.worker.connections.add(self)
        self._arm_keepalive_timer()

    def data_received(self, data: bytes) -> None:
        self._last_data = self.req_count
        super().data_received(data)

    def _arm_keepalive_timer(self) -> None:
        self._idle_since = self.worker.loop.time()
        super()._arm_keepalive_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.discard(self)
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Closes the connection unless a request, or part of one, has arrived or was answered just now."""
        idle = self._awaiting_request and self._last_data != self.req_count and not self.transport.is_closing()
        if idle and self.worker.loop.time() - self._idle_since > IDLE_SECONDS:
            self._keepalive_timeout()

    def _build_http_scope(self, request: Any, sockname: Any, peername: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._build_http_scope(request, sockname, peername)
        scope["extensions"] = {CONNECTION: self}
        return scope

    @property
    def has_left(self) -> bool:
        """Whether the caller has closed this connection (serve.caller.Connection)."""
        return bool(self._closed)


class DrainingWorker(ASGIWorker):
    """On a signal, accepts the kernel's backlog, closes the port, and answers every request that has arrived."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()
        self._signalled = asyncio.Event()

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        self._signalled.set()

    def handle_quit_signal(self) -> None:
        super().handle_quit_signal()
        self._signalled.set()

    async def _serve(self) -> None:
        for listener in self.sockets:
            server = await self.loop.create_server(
                lambda: Connection(self), sock=listener.sock, backlog=self.cfg.backlog
            )
            self.servers.append(server)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), HEARTBEAT_SECONDS)
        await self._drain()

    async def _drain(self) -> None:
        end = self.loop.time() + self.cfg.graceful_timeout
        for server in self.servers:
            await self._accept_backlog(server)
            server.close()  # new callers are refused at once instead of waiting in vain
        await asyncio.sleep(POLL_SECONDS)  # until the last accepted socket is in self.connections
        while self.connections and self.loop.time() < end and not self._quick_shutdown:
            for connection in list(self.connections):
                connection.close_if_idle()
            self.notify()
            await asyncio.sleep(POLL_SECONDS)

    async def _accept_backlog(self, server: asyncio.Server) -> None:
        end = self.loop.time() + ACCEPT_SECONDS
        while any(map(_readable, server.sockets)) and self.loop.time() < end:
            await asyncio.sleep(0)


def _readable(source: Any) -> bool:
    """Whether a connection waits to be accepted."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(0))
