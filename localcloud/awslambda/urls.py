"""Serves function URLs: an HTTP request becomes an event of version 2.0, the result an HTTP response (rules 70, 71)."""

import base64
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from localcloud.authorization.needs import Need
from localcloud.awslambda.configuration import Params
from localcloud.awslambda.invoke import SYNC_LIMIT, Invoker
from localcloud.awslambda.records import Function, Policy
from localcloud.errors import ApiError
from localcloud.gateway import protocol
from localcloud.gateway.protocol import Response
from localcloud.gateway.service import Request

TEXTUAL = ("text/", "application/json", "application/xml", "application/javascript")
SIGNATURE_SECONDS = 300.0  # how long a signature is valid
SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,]+/(?P<scope>[^,]+), ?SignedHeaders=(?P<names>[^,]+), ?Signature=[0-9a-f]{64}"
)
URL_ACTIONS = frozenset({"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"})


def event(request: Request, *, path: str, now: float) -> Params:
    """The event of a request to a function's URL. `now` is Unix time."""
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
    joined: dict[str, str] = {}
    for key, value in pairs:
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def answer(payload: bytes) -> Response:
    """A function's result as HTTP: an object with statusCode gives status, headers and body; others are a JSON body."""
    try:
        result: Any = json.loads(payload)
    except ValueError:
        result = payload.decode(errors="replace")
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result if isinstance(result, str) else json.dumps(result)
        return Response(status=200, headers={"Content-Type": "application/json"}, body=body.encode())
    headers = {"Content-Type": "application/json"}
    headers |= {name.title(): str(value) for name, value in (result.get("headers") or {}).items()}
    body = result.get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    raw = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode()
    return Response(status=int(result["statusCode"]), headers=headers, body=raw)


def url_error(status: int, message: str) -> Response:
    """An error of the URL itself, not of the function."""
    body = json.dumps({"Message": message}).encode()
    return Response(status=status, headers={"Content-Type": "application/json"}, body=body)


def allows(statements: Iterable[Mapping[str, Any]], auth: str) -> bool:
    """Whether a policy allows callers of a URL. Since October 2025 it must allow both actions (rule 70)."""
    actions = {
        each["Action"] for each in statements if _names_callers(each["Principal"], auth) and _applies(each, auth)
    }
    return actions >= URL_ACTIONS


def _names_callers(principal: Any, auth: str) -> bool:
    """Whether a principal includes the callers: everybody with AuthType NONE, the account's own when they sign."""
    return bool(principal == "*" or (auth == "AWS_IAM" and "AWS" in principal))


def _applies(statement: Mapping[str, Any], auth: str) -> bool:
    conditions = statement.get("Condition", {})
    auth_type = conditions.get("StringEquals", {}).get("lambda:FunctionUrlAuthType", auth)
    return bool(auth_type == auth and conditions.get("Bool", {}).get("lambda:InvokedViaFunctionUrl", "true") == "true")


def url_needs(arn: str) -> list[Need]:
    """What the signed request of a function's URL needs (rule 70)."""
    return [
        Need(action="lambda:InvokeFunctionUrl", resource=arn, context={"lambda:FunctionUrlAuthType": "AWS_IAM"}),
        Need(action="lambda:InvokeFunction", resource=arn, context={"lambda:InvokedViaFunctionUrl": "true"}),
    ]


def is_signed(request: Request, now: float) -> bool:
    """Whether a request has a SigV4 signature for Lambda that has not expired.

    Does not verify the signature itself, because localcloud accepts any credentials and has no secrets.
    """
    query = dict(parse_qsl(request.query))
    header = SIGNATURE.fullmatch(request.headers.get("authorization", ""))
    scope, names, when, valid = (
        (header["scope"], header["names"], request.headers.get("x-amz-date", ""), SIGNATURE_SECONDS)
        if header
        else (
            query.get("X-Amz-Credential", "").partition("/")[2],
            query.get("X-Amz-SignedHeaders", ""),
            query.get("X-Amz-Date", ""),
            float(query.get("X-Amz-Expires", SIGNATURE_SECONDS)),
        )
    )
    if not scope.endswith("/lambda/aws4_request") or "host" not in names.split(";"):
        return False
    try:
        signed = datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    return signed - SIGNATURE_SECONDS <= now <= signed + valid


@dataclass(kw_only=True)
class FunctionUrls:
    """Serves /_localcloud/function-url/NAME[:ALIAS]/…"""

    invoker: Invoker

    def serve(self, request: Request) -> Response:
        """Answer one request. `request.path` starts with the function's name."""
        name, _, rest = request.path.partition("/")
        try:
            function, qualifier = self.invoker.functions.find({"FunctionName": unquote(name)})
            refusal = self._refusal(function, qualifier or "", request)
            if refusal is not None:
                return refusal
            if len(request.body) > SYNC_LIMIT:
                return url_error(413, "Request Too Long")
            now = self.invoker.functions.cloud.now().timestamp()
            payload = json.dumps(event(request, path="/" + unquote(rest), now=now)).encode()
            result = self.invoker.invoke({"FunctionName": function.name, "Qualifier": qualifier, "Payload": payload})
        except ApiError as error:
            return url_error(error.status or 500, error.message)
        if "FunctionError" in result:
            return url_error(502, "Internal Server Error")
        return answer(result["Payload"])

    def _refusal(self, function: Function, qualifier: str, request: Request) -> Response | None:
        with function.lock:
            auth = str(function.urls.get(qualifier, {}).get("AuthType", ""))
            statements = list(function.policies.get(qualifier, Policy()).statements)
        if not auth:
            return url_error(403, "Forbidden")
        if auth == "AWS_IAM" and not is_signed(request, self.invoker.functions.cloud.now().timestamp()):
            return url_error(403, "Forbidden")
        access = self.invoker.functions.cloud.access
        if auth == "AWS_IAM" and access.is_enforced:
            arn = f"{function.arn}:{qualifier}" if qualifier else function.arn
            words = access.refusal_of_key(protocol.access_key(request.headers, request.query), url_needs(arn))
            return url_error(403, f"Forbidden. {words}") if words else None
        if allows(statements, auth):
            return None
        principal = "'*'" if auth == "NONE" else "the account (without --iam localcloud has no identity policies)"
        return url_error(
            403,
            f"Forbidden. AuthType {auth} needs two AddPermission calls with Principal {principal}: "
            "lambda:InvokeFunctionUrl, and lambda:InvokeFunction with InvokedViaFunctionUrl.",
        )
