"""Keeps a connection to an AWS service open from one call to the next."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lambda_container.deadline import Deadline
from lambda_container.exchange import Request, Response, UnansweredError, exchange
from lambda_container.network import connect_any
from lambda_container.settings import ServiceAddress

if TYPE_CHECKING:
    from lambda_container.protocols import Network, Stream

# Lambda freezes the function between events, so it does not notice that a connection is closed, and a request over a
# closed one is never answered. So older connections are not reused. In wall time, because the monotonic clock may stand
# still while the function is frozen.
MAX_IDLE_SECONDS = 20.0


class Service:
    def __init__(self, address: ServiceAddress, network: Network, clock: Callable[[], float] = time.time) -> None:
        self.address = address
        self._network = network
        self._clock = clock
        self._idle: tuple[Stream, float] | None = None

    def send(self, request: Request, deadline: Deadline, limit: int) -> Response:
        """Sends over the kept connection, or over a new one when there is none or it is stale.

        A request that the kept connection did not answer at all is sent once more over a new one, which is safe because
        downloading and classifying change nothing. Raises what `exchange` raises.
        """
        kept = self._take()
        if kept is not None:
            try:
                return self._exchange(kept, request, deadline, limit)
            except UnansweredError:
                pass
        return self._exchange(self._connect(deadline), request, deadline, limit)

    def close(self) -> None:
        if self._idle is not None:
            self._idle[0].close()
            self._idle = None

    def _exchange(self, stream: Stream, request: Request, deadline: Deadline, limit: int) -> Response:
        try:
            response = exchange(stream, request, deadline, limit)
        except BaseException:
            stream.close()
            raise
        if response.reusable:
            self._idle = (stream, self._clock())
        else:
            stream.close()
        return response

    def _take(self) -> Stream | None:
        if self._idle is None:
            return None
        (stream, since), self._idle = self._idle, None
        if 0 <= self._clock() - since <= MAX_IDLE_SECONDS and not _closed(stream):
            return stream
        stream.close()
        return None

    def _connect(self, deadline: Deadline) -> Stream:
        address = self.address
        addresses = self._network.resolve(address.host, address.port, deadline)
        name = address.host if address.scheme == "https" else None
        return connect_any(self._network, addresses, address.port, name, deadline)


def _closed(stream: Stream) -> bool:
    """Whether the other side has closed the connection: only then is an idle connection readable."""
    return isinstance(stream, socket.socket) and bool(select.select([stream], [], [], 0)[0])
