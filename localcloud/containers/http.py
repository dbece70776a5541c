"""HTTP to the containers: kept-alive connections, one pool per instance, and three ways to fail told apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

CONNECT_SECONDS = 1.0  # rule 28 wants 250 ms; a dead container's address answers nothing at all


class UnreachableError(Exception):
    """Nobody took the connection, so the request was never begun and may go elsewhere."""


class TimedOutError(Exception):
    """The container took the request and did not answer in time."""


class BrokenError(Exception):
    """The container took the connection and closed it without a whole answer."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a container answered; header names keep no case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """One container's port; tests hold an in-memory one."""

    def request(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Response: ...
    def close(self) -> None: ...


class PooledHttpClient:
    """The real one, over urllib3. `timeout` of a request is for the whole answer's silence, in seconds."""

    def __init__(self, host: str, port: int) -> None:
        self._pool = urllib3.HTTPConnectionPool(host, port, maxsize=64, retries=False)

    def request(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Response:
        """Send and read it all. A kept-alive connection that the container had just dropped is replaced once.

        Raises UnreachableError, TimedOutError or BrokenError.
        """
        try:
            return self._send(method, path, body, headers, timeout)
        except BrokenError:
            try:
                return self._send(method, path, body, headers, timeout)
            except UnreachableError as error:  # the request was begun once: it must not go elsewhere
                raise BrokenError(str(error)) from None

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Response:
        limit = urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout)
        try:
            reply = self._pool.request(method, path, body=body, headers=dict(headers), timeout=limit, redirect=False)
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise UnreachableError(str(error)) from None
        except ReadTimeoutError as error:
            raise TimedOutError(str(error)) from None
        except HTTPError as error:
            raise BrokenError(str(error)) from None
        return Response(status=reply.status, headers=reply.headers, body=reply.data)

    def close(self) -> None:
        self._pool.close()
