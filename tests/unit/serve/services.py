"""A whole service in memory: the colour network in a real ONNX Runtime session, without disk and sockets."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.engine import FALLBACK, open_network
from serve.app import App, Service, build_service
from serve.batcher import Batcher
from serve.environment import Settings
from serve.loader import Loader
from serve.metrics import Metrics
from serve.predictor import Predictor
from tests.unit.serve.artifacts import CROP, manifest
from tests.unit.serve.onnx_bytes import network

Files = Mapping[str, tuple[io.BytesIO, str]]


def predictor(**network_options: Any) -> Predictor:
    return Predictor(manifest=manifest(), network=open_network(network(CROP, **network_options), FALLBACK, threads=1))


def service(settings: Settings | None = None, *, loaded: bool = True, model: Any = None) -> Service:
    """A service whose model is ready (or, with loaded=False, never will be)."""
    chosen, metrics = settings or Settings(), Metrics()
    refused: list[str] = []

    def batcher(model: Predictor) -> Batcher:
        return Batcher(model.logits, max_batch=chosen.max_batch, observe=metrics.batch)

    loader = Loader(lambda: model or predictor(), batcher, on_refused=refused.append)
    if loaded:
        loader.start().wait(10)
        if refused:
            raise RuntimeError(refused[0])
    return build_service(chosen, loader, metrics)


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer of the application; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers["content-type"].partition(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Calls an ASGI application as a server does, one request at a time."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str, **headers: str) -> Response:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, body: bytes, content_type: str, **headers: str) -> Response:
        return self.ask(
            "POST", path, [body], **{"content-type": content_type, "content-length": str(len(body))}, **headers
        )

    def post_form(self, path: str, files: Files) -> Response:
        parts = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
            % (field.encode(), name.encode(), data.getvalue())
            for field, (data, name) in files.items()
        )
        return self.post(path, parts + b"--x--\r\n", "multipart/form-data; boundary=x")

    def ask(self, method: str, path: str, parts: list[bytes] | None = None, **headers: str) -> Response:
        return asyncio.run(self._ask(method, path, parts or [], headers))

    async def _ask(self, method: str, path: str, parts: list[bytes], headers: Mapping[str, str]) -> Response:
        path, _, query = path.partition("?")
        encoded = [
            (name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": encoded}
        coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        coming.append({"type": "http.request", "body": b"", "more_body": False})
        messages: list[Any] = []

        async def receive() -> Any:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start, *bodies = messages
        assert [message["type"] for message in messages] == [
            "http.response.start",
            *["http.response.body"] * len(bodies),
        ]
        fields = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Response(status=start["status"], headers=fields, body=b"".join(message["body"] for message in bodies))


def client(settings: Settings | None = None, **options: Any) -> Client:
    """A client of the application over `service(settings, **options)`."""
    return Client(App(service(settings, **options)))
