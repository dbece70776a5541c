"""Real servers on loopback. A function answers each request, and the server records the requests."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple


class Received(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


class Reply(NamedTuple):
    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Server(NamedTuple):
    port: int
    requests: list[Received]


@contextlib.contextmanager
def serving(
    answer: Callable[[Received], Reply], *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server with keep-alive; each of its connections has a number."""
    requests: list[Received] = []
    numbers = iter(range(10_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits 40 ms for the headers' delayed acknowledgement

        def setup(self) -> None:
            super().setup()
            self.number = next(numbers)

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # the other side may hang up
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                super().finish()

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Received(self.command, self.path, dict(self.headers), body, self.number)
            requests.append(request)
            reply = answer(request)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                if value:
                    self.send_header(name, value)
            if reply.headers.get("Connection") == "close":
                self.close_connection = True
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # keeps the tests' output readable
            pass

    server = _Quiet((host, 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(server.server_address[1], requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(ThreadingHTTPServer):
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Stays silent, because some tests hang up in the middle."""


class Certificate(NamedTuple):
    """A self-signed certificate: `server` presents it, `client` trusts only it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certificate(folder: Path, *names: str) -> Certificate:
    """A fresh certificate for `names`, made with the openssl command."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kennel-test"
    subject = ["-addext", f"subjectAltName={alternatives}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *subject], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return Certificate(server, ssl.create_default_context(cafile=str(cert)))
