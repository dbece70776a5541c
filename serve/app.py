"""The HTTP surface: thin routes over the codec, the batcher and the loader (CONTRACTS 28–32, 39, 43)."""

from __future__ import annotations

import io
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser

from serve import codec, door, page
from serve.admission import Admission, RefusedError
from serve.answers import CSV, JSON, NotAcceptableError, Wanted, wanted
from serve.batcher import ClosedError, UnwantedError
from serve.codec import BadRequestError
from serve.door import ATTRIBUTES, Door
from serve.environment import Settings
from serve.loader import Loaded, Loader
from serve.metrics import CONTENT_TYPE, Metrics
from serve.pipeline import Caller, Classified, Pipeline

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


def create_app(service: Service) -> Flask:
    """The Flask application over a service that may still be loading."""
    app = Flask("kennel.serve", static_folder=None)
    _add_operations(app, service)
    _add_people(app, service)
    _add_errors(app, service)
    _add_observation(app, service)
    app.wsgi_app = Door(app.wsgi_app, service.admission, service.metrics)  # type: ignore[method-assign]
    return app


def _add_operations(app: Flask, service: Service) -> None:
    @app.get("/ping")
    def ping() -> Response:
        if service.loader.loaded is None:
            raise UnavailableError("loading", "the model is being loaded")
        return Response(b"", 200, mimetype=JSON)

    @app.post("/invocations")
    def invocations() -> Response:
        with service.admission.request():
            return _invoke(service, _loaded(service))

    @app.get("/execution-parameters")
    def execution_parameters() -> dict[str, Any]:
        mib = max(1, service.settings.max_body_bytes // (1024 * 1024))
        return {
            "MaxConcurrentTransforms": service.settings.transform_concurrency,
            "BatchStrategy": "SINGLE_RECORD",  # pictures cannot be joined into one body
            "MaxPayloadInMB": mib,
        }

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.metrics.text(), 200, content_type=CONTENT_TYPE)


def _add_people(app: Flask, service: Service) -> None:
    html, policy = page.load()

    @app.get("/")
    def index() -> Response:
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        return Response(html, 200, headers, mimetype="text/html")

    @app.get("/model")
    def model() -> dict[str, Any]:
        settings = service.settings
        limits = {
            "body_bytes": settings.max_body_bytes,
            "pictures": settings.max_pictures,
            "pixels": settings.max_pixels,
        }
        return {**_loaded(service).predictor.card(), "limits": limits}


def _add_errors(app: Flask, service: Service) -> None:
    def answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
        service.metrics.refused(code)
        g.error = code
        return Response(codec.error_body(code, message), status, headers or {}, mimetype=JSON)

    @app.errorhandler(BadRequestError)
    def bad_request(error: BadRequestError) -> Response:
        return answer(error.status, error.code, str(error))

    @app.errorhandler(UnavailableError)
    def unavailable(error: UnavailableError) -> Response:
        return answer(503, error.code, str(error), {"Retry-After": "1"})

    @app.errorhandler(RefusedError)
    def refused(error: RefusedError) -> Response:
        return answer(503, error.code, str(error), door.retry(error))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        code = (error.name or "error").lower().replace(" ", "-")
        headers = {key: value for key, value in error.get_headers() if key == "Allow"}
        return answer(error.code or 500, code, error.description or code, headers)

    @app.errorhandler(Exception)
    def bug(error: Exception) -> Response:
        log.exception("%s %s failed", request.method, request.path)
        return answer(500, "internal", f"{type(error).__name__} in the server; its log tells more")


def _add_observation(app: Flask, service: Service) -> None:
    @app.before_request
    def start() -> None:
        g.started, g.pictures = time.perf_counter(), 0

    @app.after_request
    def finish(response: Response) -> Response:
        if response.status_code >= 400:
            door.discard(request.environ["wsgi.input"])
        response.headers.update(door.always(request.headers.get(ATTRIBUTES, "")))
        seconds, error = time.perf_counter() - g.started, g.get("error", "")
        door.observe(
            service.metrics,
            request.method,
            request.path,
            response.status_code,
            seconds,
            pictures=g.pictures,
            error=error,
        )
        return response


def _invoke(service: Service, loaded: Loaded) -> Response:
    choice = _wanted(service.settings)
    pictures = _pictures(service.settings)
    g.pictures = len(pictures)
    with service.admission.pictures(len(pictures)):
        found = _classified(service, loaded, pictures)
    timing = f"decoding;dur={found.decoding * 1000:.1f}, network;dur={found.network * 1000:.1f}"
    predictor = loaded.predictor
    body = codec.encode(found.logits, predictor.labels, choice, predictor.name())
    content_type = "text/csv; charset=utf-8" if choice.media_type == CSV else choice.media_type
    return Response(body, 200, {"Server-Timing": timing}, content_type=content_type)


def _wanted(settings: Settings) -> Wanted:
    accept = ",".join(request.headers.getlist("Accept"))
    try:
        return wanted(accept, request.headers.get(ATTRIBUTES, ""), request.args.to_dict(), settings.top_k)
    except NotAcceptableError as error:
        raise BadRequestError(406, "not-acceptable", str(error)) from error
    except ValueError as error:
        raise BadRequestError(400, "bad-option", str(error)) from error


def _pictures(settings: Settings) -> list[bytes]:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BadRequestError(
            415, "unsupported-encoding", f"Content-Encoding {encoding[:50]!r}: send the body as it is"
        )
    body = _body(settings.max_body_bytes)
    if request.mimetype == codec.FORM_TYPE:
        return codec.checked_count(_uploads(body), settings.max_pictures)
    return codec.body_pictures(request.mimetype, body, max_pictures=settings.max_pictures)


def _body(limit: int) -> bytes:
    """The whole body, announced or streamed. Flask's own limit would cut a streamed one short without a word."""
    too_large = BadRequestError(413, "body-too-large", f"the body is larger than {limit:,} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    try:
        body = bytes(request.environ["wsgi.input"].read(limit + 1))
    except (OSError, ValueError) as error:
        raise BadRequestError(400, "incomplete", f"the body did not arrive: {error}") from error
    if len(body) > limit:
        raise too_large
    if len(body) < (request.content_length or 0):
        raise BadRequestError(400, "incomplete", f"{len(body):,} of {request.content_length:,} bytes arrived")
    return body


def _in_memory(*_: Any, **__: Any) -> Any:
    return io.BytesIO()


def _uploads(body: bytes) -> list[bytes]:
    """The files of a multipart form, in memory: the root file system may be read-only."""
    parser = FormDataParser(stream_factory=_in_memory, max_form_memory_size=len(body), max_form_parts=1000, silent=True)
    try:
        _, _, files = parser.parse(io.BytesIO(body), codec.FORM_TYPE, len(body), request.mimetype_params)
    except HTTPException as error:
        raise BadRequestError(400, "bad-form", "the form has more than 1000 parts") from error
    return [upload.read() for _, upload in files.items(multi=True)]


def _classified(service: Service, loaded: Loaded, pictures: list[bytes]) -> Classified:
    seconds = service.settings.answer_timeout
    caller = Caller(deadline=g.started + seconds, left=_connection_closed(request.environ.get("gunicorn.socket")))
    try:
        return service.pipeline.classify(loaded, pictures, caller)
    except ClosedError as error:
        raise UnavailableError("stopping", str(error)) from error
    except UnwantedError as error:
        raise UnavailableError("caller-left", str(error)) from error
    except TimeoutError as error:
        raise UnavailableError("too-slow", f"no answer within {seconds:g} s") from error


def _connection_closed(connection: socket.socket | None) -> Callable[[], bool]:
    """Asks the kernel whether the caller has closed the connection; what it may have sent already stays unread."""

    def closed() -> bool:
        try:
            return connection is not None and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    return closed


def _loaded(service: Service) -> Loaded:
    loaded = service.loader.loaded
    if loaded is None:
        raise UnavailableError("loading", "the model is being loaded")
    return loaded
