"""The only module that opens sockets: resolves names and connects to addresses."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lambda_container.deadline import Deadline

if TYPE_CHECKING:
    from lambda_container.protocols import Network, Stream

Lookup = Callable[[str, int], Sequence[tuple[Any, ...]]]


def system_lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def system_tls() -> ssl.SSLContext:
    """Trusts the system's certificate authorities, or those that SSL_CERT_FILE or SSL_CERT_DIR name.

    OpenSSL finds the certificate that it needs in the system's folder, by the hash of its name: 3 ms of CPU in the
    image. By default it would read all certificates from one file, which takes 10 to 15 ms.
    """
    paths = ssl.get_default_verify_paths()
    if paths.capath and paths.openssl_cafile_env not in os.environ and _is_hashed(paths.capath):
        return ssl.create_default_context(capath=paths.capath)
    return ssl.create_default_context()


def _is_hashed(folder: str) -> bool:
    return any(name.endswith(".0") for name in os.listdir(folder))  # noqa: PTH208 (pathlib is not imported here)


class SystemNetwork:
    """The machine's network. The first TLS connection creates the TLS context."""

    def __init__(self, *, tls: Callable[[], ssl.SSLContext] = system_tls, lookup: Lookup = system_lookup) -> None:
        self._make_tls = tls
        self._lookup = lookup
        self._tls: ssl.SSLContext | None = None

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """Resolves in a thread, because the system's resolver takes no timeout."""
        addresses: list[str] = []
        errors: list[OSError] = []

        def work() -> None:
            try:
                answers = self._lookup(host, port)
            except OSError as error:
                errors.append(error)
            else:
                addresses.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(deadline.remaining())
        if thread.is_alive():
            raise TimeoutError(f"resolving {host} took too long")
        if errors:
            raise errors[0]
        return addresses

    def connect(self, address: str, port: int, server_name: str | None, deadline: Deadline) -> socket.socket:
        plain = socket.create_connection((address, port), timeout=deadline.remaining())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server_name is None:
                return plain
            self._tls = self._tls or self._make_tls()
            plain.settimeout(deadline.remaining())
            return self._tls.wrap_socket(plain, server_hostname=server_name)
        except BaseException:
            plain.close()
            raise


def connect_any(
    network: Network, addresses: Sequence[str], port: int, server_name: str | None, deadline: Deadline
) -> Stream:
    """Connects to the first address that accepts; each gets a share of the time. Raises the last address's OSError."""
    failure: OSError = OSError("the name has no address")
    for place, address in enumerate(addresses):
        share = deadline.remaining() / (len(addresses) - place)
        try:
            return network.connect(address, port, server_name, deadline.within(share))
        except OSError as error:
            failure = error
    raise failure
