"""The HTTP proxy between clients and the real registry. It applies ECR's rules, which the registry does not know.

Refuses in ECR's words what ECR refuses: invalid tokens, unknown repositories, changes of immutable tags. Passes every
other request to the registry unchanged (rules 72, 73).
"""

import http.client
import json
import re
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import unquote

from localcloud.ecr.tokens import TokenState

PIECE = 1 << 20
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"})
_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<what>manifests|blobs|tags)/(?P<rest>.*)")


class Refusal(Exception):  # noqa: N818 (an HTTP response, not an error of this program)
    """A request that ECR refuses: HTTP status, the registry protocol's code, ECR's message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.is_read = False  # whether the request's body has been read


class Rules(Protocol):
    """What ECR knows and the registry does not."""

    def check_token(self, authorization: str) -> TokenState:
        """The state of the token in an Authorization header."""
        ...

    def check_repository(self, repository: str) -> None:
        """Raise Refusal for a repository that does not exist."""
        ...

    def check_access(self, authorization: str, action: str, repository: str) -> None:
        """Raise Refusal when the token's owner lacks ECR's right to an action."""
        ...

    def check_tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """Raise Refusal when this manifest may not get the tag."""
        ...


def action_of(method: str, what: str, rest: str) -> str:
    """ECR's action for a request of the registry's protocol. `what` and `rest` are of the path."""
    if what == "manifests":
        return {"PUT": "PutImage", "DELETE": "BatchDeleteImage"}.get(method, "BatchGetImage")
    if what == "tags":
        return "ListImages"
    if rest.startswith("uploads"):
        return {"POST": "InitiateLayerUpload", "PUT": "CompleteLayerUpload"}.get(method, "UploadLayerPart")
    return "BatchCheckLayerAvailability" if method == "HEAD" else "GetDownloadUrlForLayer"


class Proxy(ThreadingHTTPServer):
    """Listens on a free loopback port. `backend` opens a connection to the registry."""

    daemon_threads = True

    def __init__(self, rules: Rules, backend: Callable[[], http.client.HTTPConnection]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules, self.backend = rules, backend

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent when a client disconnects; report everything else."""
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing, because headers hold tokens."""

    def _serve(self) -> None:
        self.connection.settimeout(600)
        try:
            body = self._checked_body()
        except Refusal as refusal:
            # A client that is still sending would see a broken connection instead of the response: read the whole body.
            for _ in () if refusal.is_read else self._pieces():
                pass
            self._refuse(refusal)
            return
        registry = self.server.backend()
        try:
            self._forward(registry, body)
        finally:
            registry.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (names of the base class)

    def _checked_body(self) -> Iterator[bytes]:
        """The request's body, in pieces. Raises Refusal."""
        state = self.server.rules.check_token(self.headers.get("Authorization", ""))
        if state == "expired":
            raise Refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        if state == "unknown":
            raise Refusal(401, "UNAUTHORIZED", "Not Authorized")
        match = _PATH.fullmatch(unquote(self.path.partition("?")[0]))
        if match is None:
            return self._pieces()
        action = action_of(self.command, match["what"], match["rest"])
        self.server.rules.check_access(self.headers.get("Authorization", ""), action, match["name"])
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
        """The request's body, in pieces as they arrive."""
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
                raise ConnectionError("the client disconnected before the end of its request")
            size -= len(piece)
            yield piece

    def _forward(self, registry: http.client.HTTPConnection, body: Iterator[bytes]) -> None:
        headers = {key: value for key, value in self.headers.items() if key.lower() not in {*_HOP, "authorization"}}
        chunked = "Transfer-Encoding" in self.headers
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        sent = body if chunked or "Content-Length" in self.headers else None
        registry.request(self.command, self.path, body=sent, headers=headers, encode_chunked=chunked)
        response = registry.getresponse()
        self.send_response(response.status)
        for key, value in response.getheaders():
            if key.lower() not in _HOP:
                self.send_header(key, value)
        if response.getheader("Content-Length") is None and response.status not in (204, 304):
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            while piece := response.read(PIECE):
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
