"""Function URLs: an HTTP request becomes an event of version 2.0, the result an HTTP answer (CONTRACTS 70, 71)."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from localcloud.errors import ApiError
from localcloud.function_configs import Params
from localcloud.function_invoke import SYNC_LIMIT, Invoker
from localcloud.functions import Function
from localcloud.protocol import Answer
from localcloud.service import Request

TEXTUAL = ("text/", "application/json", "application/xml", "application/javascript")
URL_ACTIONS = frozenset({"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"})


def event(request: Request, *, path: str, now: float) -> Params:
    """Return the event that a function gets for a request to its URL; `now` in seconds since the epoch."""
    headers = dict(request.headers)
    textual = headers.get("content-type", "text/plain").startswith(TEXTUAL)
    made: Params = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "localcloud",
            "domainName": headers.get("host", ""),
            "domainPrefix": "localcloud",
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": bool(request.body) and not textual,
    }
    if request.query:
        made["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if cookies := headers.pop("cookie", ""):
        made["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if request.body:
        made["body"] = request.body.decode(errors="replace") if textual else base64.b64encode(request.body).decode()
    return made


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Join the values of a repeated parameter with commas, as version 2.0 does."""
    found: dict[str, str] = {}
    for key, value in pairs:
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def answer(payload: bytes) -> Answer:
    """Turn a function's result into HTTP: an object with statusCode says it all, anything else is a JSON body."""
    try:
        result: Any = json.loads(payload)
    except ValueError:
        result = payload.decode(errors="replace")
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result if isinstance(result, str) else json.dumps(result)
        return Answer(status=200, headers={"Content-Type": "application/json"}, body=body.encode())
    headers = {"Content-Type": "application/json"}
    headers |= {name.title(): str(value) for name, value in (result.get("headers") or {}).items()}
    body = result.get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    raw = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode()
    return Answer(status=int(result["statusCode"]), headers=headers, body=raw)


def told(status: int, message: str) -> Answer:
    """Return an answer of the URL itself, not of the function."""
    body = json.dumps({"Message": message}).encode()
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=body)


def public(statements: list[Mapping[str, Any]]) -> bool:
    """Tell whether a policy lets everybody in: since October 2025 it takes both actions (CONTRACTS 70)."""
    return {statement["Action"] for statement in statements if statement["Principal"] == "*"} >= URL_ACTIONS


@dataclass(kw_only=True)
class FunctionUrls:
    """Serves /_localcloud/function-url/NAME[:ALIAS]/…"""

    invoker: Invoker

    def serve(self, request: Request) -> Answer:
        """Answer one request; `request.path` starts with the function's name."""
        name, _, rest = request.path.partition("/")
        try:
            function, qualifier = self.invoker.functions.find({"FunctionName": unquote(name)})
            refusal = self._refusal(function, qualifier or "", request)
            if refusal is not None:
                return refusal
            if len(request.body) > SYNC_LIMIT:
                return told(413, "Request Too Long")
            now = self.invoker.functions.cloud.now().timestamp()
            payload = json.dumps(event(request, path="/" + unquote(rest), now=now)).encode()
            result = self.invoker.invoke({"FunctionName": function.name, "Qualifier": qualifier, "Payload": payload})
        except ApiError as error:
            return told(error.status or 500, error.message)
        if "FunctionError" in result:
            return told(502, "Internal Server Error")
        return answer(result["Payload"])

    def _refusal(self, function: Function, qualifier: str, request: Request) -> Answer | None:
        url = function.urls.get(qualifier)
        if url is None:
            return told(403, "Forbidden")
        if url["AuthType"] == "AWS_IAM":
            signed = "AWS4-HMAC-SHA256" in request.headers.get("authorization", "")
            return None if signed else told(403, "Forbidden")
        if public(list(function.policies.get(qualifier, []))):
            return None
        return told(
            403,
            "Forbidden. AuthType NONE needs two AddPermission calls with Principal '*': lambda:InvokeFunctionUrl, and "
            "lambda:InvokeFunction with InvokedViaFunctionUrl.",
        )
