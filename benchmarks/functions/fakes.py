"""Fakes around a function: Lambda's Runtime API for one process, and an endpoint with a known response time."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PICTURE = bytes.fromhex("ffd8ff") + bytes(range(256)) * 200  # 51 kB that begin like a JPEG
PREDICTIONS = [{"label": "Carolina dog", "probability": 0.98, "top": [{"label": "Carolina dog", "probability": 0.98}]}]
ANSWER = json.dumps({"model": {}, "predictions": PREDICTIONS, "logits": [[0.5] * 133]}).encode()
Reply = tuple[int, dict[str, str], bytes]
Answering = Callable[[BaseHTTPRequestHandler, bytes], Reply]


@contextlib.contextmanager
def serving(answer: Answering, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Runs a server with persistent connections on loopback and yields its port. Open requests end with the server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body in one packet

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, headers, content = answer(self, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = _Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(ThreadingHTTPServer):
    block_on_close = False
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores errors: a measurement ends by killing its process, which breaks open connections."""


def endpoint(seconds: float = 0.0) -> Answering:
    """SageMaker's runtime and a web server in one: an inference takes `seconds`, a picture by URL no time."""

    def answer(request: BaseHTTPRequestHandler, _: bytes) -> Reply:
        if request.command == "GET":
            return 200, {"Content-Type": "image/jpeg"}, PICTURE
        time.sleep(seconds)
        return 200, {"Content-Type": "application/json"}, ANSWER

    return answer


class RuntimeApi:
    """Lambda's Runtime API for one process: hands out `events`, then sets `waiting` and lets the process wait."""

    def __init__(self, events: Sequence[object]) -> None:
        self._left = list(events)
        self.answers: list[Any] = []
        self.failed: list[str] = []
        self.waiting = threading.Event()
        self.over = threading.Event()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply:
        if request.path.endswith("/next"):
            return self._next()
        if request.path.endswith("/response"):
            self.answers.append(json.loads(body))
        else:
            self.failed.append(body.decode(errors="replace"))
            self.waiting.set()
        return 202, {}, b"{}"

    def _next(self) -> Reply:
        if not self._left:
            self.waiting.set()
            self.over.wait()
            return 500, {}, b""
        headers = {
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 30) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:kennel",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "Content-Type": "application/json",
        }
        return 200, headers, json.dumps(self._left.pop(0)).encode()
