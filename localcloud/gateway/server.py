"""The HTTP server: one port for all of AWS. localcloud's handlers answer their operations, moto answers all others.

moto runs in this process.
"""

import errno
import json
import logging
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway import protocol
from localcloud.gateway.conditional_writes import ConditionalWrites
from localcloud.gateway.fallback import Fallback, asked, error_response
from localcloud.gateway.http import WSGI, StartResponse, request_headers, send, take_body
from localcloud.gateway.protocol import Call, Response
from localcloud.gateway.requests import AnyCall, Gate, Http, identify
from localcloud.gateway.service import Handler, PassToMoto, Request, Service, Wrapper
from localcloud.gateway.validation import validate

Guard = Callable[[Request], Response | None]
_LOCAL, _MOTO = "/_localcloud/", "/moto-api/"
_POLL = 0.02  # seconds between checks whether to stop; the default of half a second makes stopping slow


class Application:
    """The WSGI application. Reads a request, validates it against botocore's model, answers it or passes it to moto.

    `health` returns the answer of GET /_localcloud/health. `gates` may refuse the requests of clients, in their order.
    `guard` returns the refusal of a request that its caller may not make; None lets it pass.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        region: str,
        health: Callable[[], dict[str, Any]],
        moto: WSGI | None = None,
        gates: Sequence[Gate] = (),
        guard: Guard | None = None,
    ) -> None:
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._local: list[tuple[str, re.Pattern[str], Handler]] = [("GET", re.compile("health"), lambda _: health())]
        self._web: dict[str, Callable[[Request], Response]] = {}
        self._wrappers: dict[tuple[str, str], Wrapper] = {}
        for service in services:
            self._web |= service.web
            self._wrappers |= {(service.name, operation): wrapper for operation, wrapper in service.wrappers.items()}
            self._handlers |= {(service.name, operation): handler for operation, handler in service.handlers.items()}
            self._local += [_local_route(route, handler) for route, handler in service.local.items()]
        self._region, self._gates, self._guard = region, gates, guard
        self._moto: WSGI = Fallback(moto)
        self._s3: WSGI = ConditionalWrites(s3=self._moto)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        raw_path = str(environ.get("REQUEST_URI") or environ["PATH_INFO"]).partition("?")[0]
        prefix, _, rest = raw_path.removeprefix(_LOCAL).partition("/")
        if raw_path.startswith(_LOCAL) and prefix in self._web:
            return send(self._web[prefix](_request(environ, rest)), start_response)
        if raw_path.startswith(_LOCAL):
            return send(self._answer_local(environ["REQUEST_METHOD"], raw_path), start_response)
        if raw_path.startswith(_MOTO):  # moto's own operations, such as its reset, are not AWS's: nobody judges them
            return self._moto(environ, start_response)
        if self._guard is not None:
            refusal = self._guard(_to_judge(environ, raw_path))
            if refusal is not None:
                return send(refusal, start_response)
        return self._past_gates(environ, start_response, raw_path)

    def _past_gates(self, environ: dict[str, Any], start_response: StartResponse, raw_path: str) -> Iterable[bytes]:
        """The answer of AWS, unless a gate refuses the request. Gates do not see what localcloud itself sends."""
        http = Http(
            method=environ["REQUEST_METHOD"], path=raw_path, query=environ.get("QUERY_STRING", ""),
            headers=request_headers(environ), body=lambda: take_body(environ),
        )  # fmt: skip
        call = identify(http) if self._gates else None
        if call is None or call.is_internal:
            return self._dispatch(environ, start_response, raw_path)
        refused = next(filter(None, (gate.refuse(call) for gate in self._gates)), None)
        if refused is not None:
            return send(_refusal(environ, call, refused), start_response)

        def answered(status: str, *rest: Any) -> Any:
            for gate in self._gates:
                gate.answered(call, int(status.split(maxsplit=1)[0]))
            return start_response(status, *rest)

        return self._dispatch(environ, answered, raw_path)

    def _dispatch(self, environ: dict[str, Any], start_response: StartResponse, raw_path: str) -> Iterable[bytes]:
        headers = request_headers(environ)
        query = environ.get("QUERY_STRING", "")
        call = protocol.recognise(method=environ["REQUEST_METHOD"], path=raw_path, query=query, headers=headers)
        if call is None:
            return self._pass_to_moto(environ, start_response, headers)
        body = take_body(environ)
        response = self._answer(call, query=query, headers=headers, body=body)
        return self._moto(environ, start_response) if response is None else send(response, start_response)

    def _answer(self, call: Call, *, query: str, headers: Mapping[str, str], body: bytes) -> Response | None:
        """The response, or None when moto must answer."""
        handler = self._handlers.get((call.service, call.operation))
        try:
            if call.region != self._region:
                raise ApiError(
                    "ValidationException",
                    f"localcloud runs as {self._region} and this request is for {call.region}: "
                    f"set AWS_REGION={self._region}, or start localcloud with --region {call.region}",
                )
            params = protocol.parse(call, query=query, headers=headers, body=body)
            validate(call.service, call.operation, params)
            if handler is None:
                return None
            return protocol.serialize(call.service, call.operation, handler(params))
        except PassToMoto:
            return None
        except ApiError as error:
            return protocol.serialize_error(call.service, error)
        except Exception as error:
            traceback.print_exc()
            message = f"localcloud has a bug in {call.service} {call.operation}: {type(error).__name__}: {error}"
            return protocol.serialize_error(call.service, ApiError("InternalFailure", message, 500))

    def _pass_to_moto(
        self, environ: dict[str, Any], start_response: StartResponse, headers: Mapping[str, str]
    ) -> Iterable[bytes]:
        """moto's response, or the response of the wrapper that a service has for the operation."""
        service, _ = protocol.credential_scope(headers, environ.get("QUERY_STRING", "")) or ("s3", "")
        if service == "s3":
            return self._s3(environ, start_response)
        if not any(service == name for name, _ in self._wrappers):
            return self._moto(environ, start_response)
        form = dict(parse_qsl(take_body(environ).decode(errors="replace"), keep_blank_values=True))
        wrapper = self._wrappers.get((service, form.get("Action", "")))
        if wrapper is None:
            return self._moto(environ, start_response)
        try:
            response = wrapper(form, lambda: self._ask_moto(environ))
        except ApiError as error:
            response = protocol.query_error(error)
        return send(response, start_response)

    def _ask_moto(self, environ: dict[str, Any]) -> Response:
        started: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            started.update(status=int(status.split(maxsplit=1)[0]), headers=dict(headers))

        body = b"".join(self._moto(environ, start_response))
        started["headers"].pop("Content-Length", None)
        return Response(status=started["status"], headers=started["headers"], body=body)

    def _answer_local(self, method: str, path: str) -> Response:
        for command, pattern, handler in self._local:
            match = pattern.fullmatch(path.removeprefix(_LOCAL))
            if match and command == method:
                try:
                    result = handler({name: unquote(value) for name, value in match.groupdict().items()})
                except ApiError as error:
                    return _json(error.status or 400, {"error": error.code, "message": error.message})
                return _json(200, result)
        return _json(404, {"error": "NotFound", "message": f"no route {method} {path}"})


def _local_route(route: str, handler: Handler) -> tuple[str, re.Pattern[str], Handler]:
    """ "POST /training-jobs/{name}/interrupt" as (method, pattern, handler)."""
    method, _, path = route.partition(" ")
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path.lstrip("/")))
    return method, re.compile(pattern), handler


def _request(environ: dict[str, Any], path: str) -> Request:
    return Request(
        method=environ["REQUEST_METHOD"], path=path, query=environ.get("QUERY_STRING", ""),
        headers=request_headers(environ), body=take_body(environ), source=environ.get("REMOTE_ADDR", ""),
    )  # fmt: skip


def _refusal(environ: dict[str, Any], call: AnyCall, error: ApiError) -> Response:
    """A gate's error as the call's service sends it. It reads the body, so that the connection can be used again."""
    take_body(environ)
    if call.service in protocol.SERVICES:
        return protocol.serialize_error(call.service, error)
    response = error_response(asked(environ), error)
    return replace(response, body=b"") if environ["REQUEST_METHOD"] == "HEAD" else response


def _to_judge(environ: dict[str, Any], path: str) -> Request:
    """The request as a guard reads it. What S3 stores stays unread: no right depends on it."""
    is_upload = environ["REQUEST_METHOD"] == "PUT" and "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
    return Request(
        method=environ["REQUEST_METHOD"], path=path, query=environ.get("QUERY_STRING", ""),
        headers=request_headers(environ), body=b"" if is_upload else take_body(environ),
        source=environ.get("REMOTE_ADDR", ""),
    )  # fmt: skip


def _json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(value).encode())


class _RequestHandler(MotoRequestHandler):
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: ARG002
        logging.getLogger("localcloud.access").debug(message, *args)


class Listener:
    """Serves one application on one port of several addresses. `sockets` listen already; `start` starts the threads."""

    def __init__(self, sockets: Sequence[socket.socket], app: WSGI) -> None:
        self._sockets = sockets
        self._servers: list[BaseWSGIServer] = [
            make_server(host, port, app, threaded=True, request_handler=_RequestHandler, fd=bound.fileno())
            for bound, (host, port) in ((bound, bound.getsockname()) for bound in sockets)
        ]

    def start(self) -> None:
        for server in self._servers:
            name = f"http-{server.host}"
            threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True, name=name).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for bound in self._sockets:
            bound.close()


def bind(port: int, addresses: Sequence[str]) -> list[socket.socket]:
    """Listening sockets on `port` (0: any free one) of every address. Skips addresses that this host does not have,
    except the first.

    Raises LocalcloudError when the port is taken.
    """
    sockets: list[socket.socket] = []
    for address in addresses:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((address, port))
            made.listen(128)
        except OSError as error:
            made.close()
            if sockets and error.errno == errno.EADDRNOTAVAIL:  # Docker Desktop's gateway is inside its virtual machine
                continue
            for other in sockets:
                other.close()
            raise LocalcloudError(
                f"cannot listen on port {port} of {address} ({error.strerror}): stop the program that uses it, or "
                "choose another port with --port"
            ) from None
        port = made.getsockname()[1]
        sockets.append(made)
    return sockets
