"""What the world sees of the registry: ECR's tokens, repositories and immutable tags, before a real registry.

A request that ECR would refuse is refused here in ECR's words; every other goes on as it came (rules 72, 73).
"""

import http.client
import json
import re
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import unquote

from localcloud.ecr.tokens import Verdict

PIECE = 1 << 20
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"})
_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<what>manifests|blobs|tags)/(?P<rest>.*)")


class Refusal(Exception):  # noqa: N818 (it is answered, not raised to anybody)
    """A request that ECR refuses: the registry protocol's code and ECR's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.is_read = False  # whether the request's body was read before it was refused


class Rules(Protocol):
    """What ECR knows that the registry does not."""

    def judge(self, authorization: str) -> Verdict: ...
    def check_repository(self, repository: str) -> None:
        """Raise Refusal when there is no such repository."""
        ...

    def check_tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """Raise Refusal when the tag may not be given to this manifest."""
        ...


class Proxy(ThreadingHTTPServer):
    """Listens on a loopback port of its own. `backend` opens a connection to the registry."""

    daemon_threads = True

    def __init__(self, rules: Rules, backend: Callable[[], http.client.HTTPConnection]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules, self.backend = rules, backend

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: headers hold tokens."""

    def _serve(self) -> None:
        self.connection.settimeout(600)
        try:
            body = self._checked_body()
        except Refusal as refusal:
            for _ in (
                () if refusal.is_read else self._pieces()
            ):  # a client in the middle of sending would see a broken connection, not the answer
                pass
            self._refuse(refusal)
            return
        back = self.server.backend()
        try:
            self._forward(back, body)
        finally:
            back.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (names of the base class)

    def _checked_body(self) -> Iterator[bytes]:
        verdict = self.server.rules.judge(self.headers.get("Authorization", ""))
        if verdict == "expired":
            raise Refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        if verdict == "unknown":
            raise Refusal(401, "UNAUTHORIZED", "Not Authorized")
        match = _PATH.fullmatch(unquote(self.path.partition("?")[0]))
        if match is None:
            return self._pieces()
        self.server.rules.check_repository(match["name"])
        if match["what"] != "manifests" or self.command != "PUT":
            return self._pieces()
        manifest = b"".join(self._pieces())
        try:
            self.server.rules.check_tag(match["name"], match["rest"], manifest)
        except Refusal as refusal:
            refusal.is_read = True
            raise
        return iter([manifest])

    def _pieces(self) -> Iterator[bytes]:
        """The request's body, as it comes."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
                yield from self._exactly(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionError("the client went away in the middle of a body")
            size -= len(piece)
            yield piece

    def _forward(self, back: http.client.HTTPConnection, body: Iterator[bytes]) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in {*_HOP, "authorization"}}
        chunked = "Transfer-Encoding" in self.headers
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        sent = body if chunked or "Content-Length" in self.headers else None
        back.request(self.command, self.path, body=sent, headers=headers, encode_chunked=chunked)
        answer = back.getresponse()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in _HOP:
                self.send_header(key, value)
        if answer.getheader("Content-Length") is None and answer.status not in (204, 304):
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            while piece := answer.read(PIECE):
                self.wfile.write(piece)

    def _refuse(self, refusal: Refusal) -> None:
        body = json.dumps({"errors": [{"code": refusal.code, "message": refusal.message}]}).encode()
        self.send_response(refusal.status)
        if refusal.status == 401:
            realm = f"http://{self.server.address}/"
            self.send_header("WWW-Authenticate", f'Basic realm="{realm}",service="ecr.amazonaws.com"')
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
