"""The HTTP routes, thin over the codec, the pipeline and the loader (rules 28–32, 39, 43).

They all run on the event loop, in one thread; slow work (decoding, inference, large bodies) goes to the pipeline's
threads. A thread per request cost three times as much, because the threads contended for the interpreter lock.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from serve import asgi, codec, page
from serve.admission import Admission
from serve.asgi import Answer, Receive, Request, Send
from serve.batcher import ClosedError
from serve.caller import CallerGoneError
from serve.environment import Settings
from serve.errors import ERRORS, BadRequestError, RequestError, UnavailableError
from serve.loader import Loaded, Loader
from serve.metrics import CONTENT_TYPE, Metrics
from serve.negotiation import CSV, AnswerFormat, NotAcceptableError, negotiate
from serve.pipeline import Classified, Pipeline

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
Handler = Callable[[Request], Awaitable[Answer]]
log = logging.getLogger("kennel.serve")


@dataclass(frozen=True, kw_only=True)
class Service:
    """Everything that the routes need."""

    settings: Settings
    loader: Loader
    metrics: Metrics
    admission: Admission
    pipeline: Pipeline


def build_service(settings: Settings, loader: Loader, metrics: Metrics) -> Service:
    """The service whose model `loader` loads; `metrics` reports its queue and its readiness from now on."""

    def waiting() -> int:
        loaded = loader.loaded
        return loaded.batcher.waiting() if loaded else 0

    metrics.watch(waiting=waiting, ready=lambda: loader.loaded is not None)
    return Service(
        settings=settings,
        loader=loader,
        metrics=metrics,
        admission=Admission(
            max_requests=settings.max_requests,
            max_pictures=settings.max_waiting,
            max_wait=settings.max_wait,
            always=2 * settings.cpus,
        ),
        pipeline=Pipeline(cpus=settings.cpus, max_pixels=settings.max_pixels, observe=metrics.decoded),
    )


class App:
    """The ASGI application. It also answers while the model is still loading."""

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
        request = Request(scope, receive, seconds=self._service.settings.answer_timeout)
        try:
            answer = await self._answer(request)
        except Exception as error:
            answer = _error_answer(error, request)
        if answer.status >= 400:
            await request.discard()
        if answer.error:
            self._service.metrics.refused(answer.error)
        headers = _common_headers(request.headers.get(ATTRIBUTES, ""))
        await asgi.send_answer(send, answer, headers, head=request.method == "HEAD")
        self._observe(request, answer)

    async def _answer(self, request: Request) -> Answer:
        if request.path not in self._routes:
            return _error("not-found", f"no path {request.path[:100]!r}: use one of {', '.join(self._routes)}")
        method, handler = self._routes[request.path]
        methods = ("GET", "HEAD", "OPTIONS") if method == "GET" else (method, "OPTIONS")
        if request.method not in methods:
            allow = ", ".join(methods)
            text = f"{request.path} does not take {request.method[:20]}: use {allow}"
            return _error("method-not-allowed", text, {"allow": allow})
        if request.method == "OPTIONS":
            return Answer(headers={"allow": ", ".join(methods)})
        return await handler(request)

    def _observe(self, request: Request, answer: Answer) -> None:
        """Counts and logs one answer."""
        seconds = time.perf_counter() - request.started
        self._service.metrics.answered(request.path, answer.status, seconds)
        level = logging.DEBUG if request.path in ("/ping", "/metrics") else logging.INFO
        error = f" error={answer.error}" if answer.error else ""
        fields = (request.method, request.path, answer.status, seconds * 1000, answer.pictures, error)
        log.log(level, "%s %s %d %.1f ms pictures=%d%s", *fields)

    async def _ping(self, _: Request) -> Answer:
        self._loaded()
        return Answer()

    async def _invocations(self, request: Request) -> Answer:
        service = self._service
        service.admission.check()  # a request without room must cost nothing more
        with service.admission.request():
            loaded = self._loaded()
            answer_format = _answer_format(request, service.settings)
            pictures = await self._pictures(request)
            with service.admission.pictures(len(pictures)):
                classified = await self._classified(request, loaded, pictures)
        return await self._encoded(loaded, classified, answer_format)

    async def _execution_parameters(self, _: Request) -> Answer:
        settings = self._service.settings
        return _json(
            {
                "MaxConcurrentTransforms": settings.transform_concurrency,
                "BatchStrategy": "SINGLE_RECORD",  # concatenated pictures are not a valid body
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
            text = f"cannot read Content-Encoding {encoding[:50]!r}: send the body uncompressed"
            raise BadRequestError("unsupported-encoding", text)
        settings = self._service.settings
        body = await request.body(settings.max_body_bytes)
        content_type, most = request.content_type, settings.max_pictures
        if codec.media_type_of(content_type) in (*codec.JSON_TYPES, codec.FORM_TYPE):
            return await self._service.pipeline.run(lambda: codec.pictures(content_type, body, max_pictures=most))
        return codec.pictures(content_type, body, max_pictures=most)

    async def _classified(self, request: Request, loaded: Loaded, pictures: list[bytes]) -> Classified:
        try:
            return await self._service.pipeline.classify(loaded, pictures, request.caller)
        except ClosedError as error:
            raise UnavailableError("stopping", str(error)) from error
        except CallerGoneError as error:
            raise UnavailableError("caller-left", str(error)) from error
        except TimeoutError as error:
            text = f"the pictures were not classified within {request.seconds:g} s; try again, or send fewer"
            raise UnavailableError("too-slow", text) from error

    async def _encoded(self, loaded: Loaded, classified: Classified, answer_format: AnswerFormat) -> Answer:
        predictor, count = loaded.predictor, len(classified.logits)

        def encode() -> bytes:
            return codec.encode(classified.logits, predictor.labels, answer_format, predictor.name())

        body = encode() if count == 1 else await self._service.pipeline.run(encode)
        timing = f"decoding;dur={classified.decoding * 1000:.1f}, network;dur={classified.network * 1000:.1f}"
        content_type = f"{CSV}; charset=utf-8" if answer_format.media_type == CSV else answer_format.media_type
        return Answer(body=body, content_type=content_type, headers={"server-timing": timing}, pictures=count)

    def _loaded(self) -> Loaded:
        loaded = self._service.loader.loaded
        if loaded is None:
            raise UnavailableError("loading", "the model is still loading; try again")
        return loaded


def _answer_format(request: Request, settings: Settings) -> AnswerFormat:
    accept, attributes = request.headers.get("accept", ""), request.headers.get(ATTRIBUTES, "")
    try:
        return _negotiated(accept, attributes, request.query, settings.top_k)
    except NotAcceptableError as error:
        raise BadRequestError("not-acceptable", str(error)) from error
    except ValueError as error:
        raise BadRequestError("bad-option", str(error)) from error


@lru_cache(maxsize=64)  # most callers send the same headers
def _negotiated(accept: str, attributes: str, query: str, top_k: int) -> AnswerFormat:
    """Of a name that the query repeats, the first value counts."""
    options = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    return negotiate(accept, attributes, options, top_k)


def _error_answer(error: Exception, request: Request) -> Answer:
    if isinstance(error, RequestError):
        headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
        return _error(error.code, str(error), headers)
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _error("internal", f"{type(error).__name__} in the server: see its log for the traceback")


def _error(code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = codec.error_body(code, message)
    return Answer(status=ERRORS[code].status, body=body, headers=headers or {}, error=code)


def _json(value: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(value, ensure_ascii=False).encode())


def _common_headers(attributes: str) -> dict[str, str]:
    """The headers of every answer. SageMaker returns the request's custom attributes only if the container does."""
    headers = {"x-content-type-options": "nosniff"}
    if 0 < len(attributes) <= 1024 and attributes.isascii() and attributes.isprintable():
        headers[ATTRIBUTES] = attributes
    return headers
