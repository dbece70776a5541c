"""The HTTP surface: thin routes over the codec, the pipeline and the loader (rules 28–32, 39, 43).

All of it runs in one thread, on the event loop: what takes long (decoding, the network, large bodies) goes to the
pipeline's threads. Requests were threads once, and cost three times as much for contending for the interpreter lock.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from serve import asgi, codec, page
from serve.admission import Admission, RefusedError
from serve.answers import CSV, NotAcceptableError, Wanted, wanted
from serve.asgi import Answer, Receive, Request, Send
from serve.batcher import ClosedError, UnwantedError
from serve.codec import BadRequestError
from serve.environment import Settings
from serve.loader import Loaded, Loader
from serve.metrics import CONTENT_TYPE, Metrics
from serve.pipeline import Caller, Classified, Pipeline

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
Handler = Callable[[Request], Awaitable[Answer]]
log = logging.getLogger("kennel.serve")


class UnavailableError(RuntimeError):
    """The server cannot take the request now; the caller may try again (503 with Retry-After)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that the routes need."""

    settings: Settings
    loader: Loader
    metrics: Metrics
    admission: Admission = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        settings, metrics = self.settings, self.metrics
        admission = Admission(
            max_requests=settings.max_requests,
            max_pictures=settings.max_waiting,
            max_wait=settings.max_wait,
            always=2 * settings.cpus,
        )
        pipeline = Pipeline(cpus=settings.cpus, max_pixels=settings.max_pixels, observe=metrics.decoded)
        object.__setattr__(self, "admission", admission)
        object.__setattr__(self, "pipeline", pipeline)
        metrics.watch(waiting=self._waiting, ready=lambda: self.loader.loaded is not None)

    def _waiting(self) -> int:
        loaded = self.loader.loaded
        return loaded.batcher.waiting() if loaded else 0


class App:
    """The ASGI application over a service that may still be loading."""

    def __init__(self, service: Service) -> None:
        self._service = service
        html, policy = page.load()
        headers = {"content-security-policy": policy, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
        self._page = Answer(body=html, content_type="text/html; charset=utf-8", headers=headers)
        self._routes: dict[str, tuple[str, Handler]] = {
            "/invocations": ("POST", self._invocations),
            "/ping": ("GET", self._ping),
            "/execution-parameters": ("GET", self._execution_parameters),
            "/metrics": ("GET", self._metrics),
            "/model": ("GET", self._model),
            "/": ("GET", self._index),
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        try:
            told = await self._answer(request)
        except Exception as error:
            told = _refusal(error, request)
        if told.status >= 400:
            await request.discard()
        if told.error:
            self._service.metrics.refused(told.error)
        headers = _always(request.headers.get(ATTRIBUTES, ""))
        await asgi.answer(send, told, headers, head=request.method == "HEAD")
        self._observe(request, told)

    async def _answer(self, request: Request) -> Answer:
        if request.path not in self._routes:
            return _error(404, "not-found", f"there is no {request.path[:100]!r}; known: {', '.join(self._routes)}")
        method, handler = self._routes[request.path]
        methods = ("GET", "HEAD", "OPTIONS") if method == "GET" else (method, "OPTIONS")
        if request.method not in methods:
            allowed = {"allow": ", ".join(methods)}
            return _error(405, "method-not-allowed", f"{request.path} takes {allowed['allow']}", allowed)
        if request.method == "OPTIONS":
            return Answer(headers={"allow": ", ".join(methods)})
        return await handler(request)

    def _observe(self, request: Request, told: Answer) -> None:
        """Counts one answer, and tells it in the log."""
        seconds = time.perf_counter() - request.started
        self._service.metrics.answered(request.path, told.status, seconds)
        level = logging.DEBUG if request.path in ("/ping", "/metrics") else logging.INFO
        error = f" error={told.error}" if told.error else ""
        what = (request.method, request.path, told.status, seconds * 1000, told.pictures, error)
        log.log(level, "%s %s %d %.1f ms pictures=%d%s", *what)

    async def _ping(self, _: Request) -> Answer:
        self._loaded()
        return Answer()

    async def _invocations(self, request: Request) -> Answer:
        service = self._service
        service.admission.check()  # what has no room costs nothing more
        with service.admission.request():
            loaded = self._loaded()
            choice = _wanted(request, service.settings)
            pictures = await self._pictures(request)
            with service.admission.pictures(len(pictures)):
                found = await self._classified(request, loaded, pictures)
        return await self._encoded(loaded, found, choice)

    async def _execution_parameters(self, _: Request) -> Answer:
        settings = self._service.settings
        return _json(
            {
                "MaxConcurrentTransforms": settings.transform_concurrency,
                "BatchStrategy": "SINGLE_RECORD",  # pictures cannot be joined into one body
                "MaxPayloadInMB": max(1, settings.max_body_bytes // (1024 * 1024)),
            }
        )

    async def _metrics(self, _: Request) -> Answer:
        return Answer(body=self._service.metrics.text(), content_type=CONTENT_TYPE)

    async def _index(self, _: Request) -> Answer:
        return self._page

    async def _model(self, _: Request) -> Answer:
        settings = self._service.settings
        limits = {
            "body_bytes": settings.max_body_bytes,
            "pictures": settings.max_pictures,
            "pixels": settings.max_pixels,
        }
        return _json({**self._loaded().predictor.card(), "limits": limits})

    async def _pictures(self, request: Request) -> list[bytes]:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise BadRequestError(
                415, "unsupported-encoding", f"Content-Encoding {encoding[:50]!r}: send the body as it is"
            )
        settings = self._service.settings
        body = await request.body(settings.max_body_bytes, seconds=settings.answer_timeout)
        content_type, most = request.content_type, settings.max_pictures
        if codec.media_type_of(content_type) in (*codec.JSON_TYPES, codec.FORM_TYPE):
            return await self._service.pipeline.run(lambda: codec.pictures(content_type, body, max_pictures=most))
        return codec.pictures(content_type, body, max_pictures=most)

    async def _classified(self, request: Request, loaded: Loaded, pictures: list[bytes]) -> Classified:
        seconds = self._service.settings.answer_timeout
        caller = Caller(deadline=request.started + seconds, left=request.left)
        try:
            return await self._service.pipeline.classify(loaded, pictures, caller)
        except ClosedError as error:
            raise UnavailableError("stopping", str(error)) from error
        except UnwantedError as error:
            raise UnavailableError("caller-left", str(error)) from error
        except TimeoutError as error:
            raise UnavailableError("too-slow", f"no answer within {seconds:g} s") from error

    async def _encoded(self, loaded: Loaded, found: Classified, choice: Wanted) -> Answer:
        predictor, count = loaded.predictor, len(found.logits)

        def encode() -> bytes:
            return codec.encode(found.logits, predictor.labels, choice, predictor.name())

        body = encode() if count == 1 else await self._service.pipeline.run(encode)
        timing = f"decoding;dur={found.decoding * 1000:.1f}, network;dur={found.network * 1000:.1f}"
        content_type = "text/csv; charset=utf-8" if choice.media_type == CSV else choice.media_type
        return Answer(body=body, content_type=content_type, headers={"server-timing": timing}, pictures=count)

    def _loaded(self) -> Loaded:
        loaded = self._service.loader.loaded
        if loaded is None:
            raise UnavailableError("loading", "the model is being loaded")
        return loaded


def _wanted(request: Request, settings: Settings) -> Wanted:
    given, attributes = request.headers.get("accept", ""), request.headers.get(ATTRIBUTES, "")
    try:
        return _read(given, attributes, request.query, settings.top_k)
    except NotAcceptableError as error:
        raise BadRequestError(406, "not-acceptable", str(error)) from error
    except ValueError as error:
        raise BadRequestError(400, "bad-option", str(error)) from error


@lru_cache(maxsize=64)  # callers ask alike
def _read(accept: str, attributes: str, query: str, top_k: int) -> Wanted:
    """The first value of each name in the query counts."""
    options = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    return wanted(accept, attributes, options, top_k)


def _refusal(error: Exception, request: Request) -> Answer:
    match error:
        case BadRequestError():
            return _error(error.status, error.code, str(error))
        case RefusedError():
            return _error(503, error.code, str(error), {"retry-after": str(error.seconds)})
        case UnavailableError():
            return _error(503, error.code, str(error), {"retry-after": "1"})
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _error(500, "internal", f"{type(error).__name__} in the server; its log tells more")


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, body=codec.error_body(code, message), headers=headers or {}, error=code)


def _json(value: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(value, ensure_ascii=False).encode())


def _always(attributes: str) -> dict[str, str]:
    """The headers of each answer; `attributes` came with the request and return only if the container sets them."""
    headers = {"x-content-type-options": "nosniff"}
    if 0 < len(attributes) <= 1024 and attributes.isascii() and attributes.isprintable():
        headers[ATTRIBUTES] = attributes
    return headers
