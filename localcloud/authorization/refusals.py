"""Says no in AWS's words, in the form of the protocol that the request speaks. Pure.

The words are those of real answers, in public issues: awslabs/amazon-sagemaker and ECR say `because no identity-based
policy allows` (aws/sagemaker-python-sdk#4064), S3 quotes the resource (noobaa/noobaa-core#10060,
aws-ia/terraform-aws-bedrock#41), EC2 puts a sentence before and an encoded message behind
(aws/karpenter-provider-aws#7370), a boundary has its own words (nebari-dev/nebari#2152).
"""

import base64
import json
import uuid
from collections.abc import Mapping
from xml.sax.saxutils import escape

from localcloud.authorization.needs import Need
from localcloud.authorization.simulator import Verdict
from localcloud.errors import ApiError
from localcloud.gateway.protocol import Response, query_error

_KINDS = {
    "identity": ("identity-based policy", "an identity-based policy"),
    "boundary": ("permissions boundary", "a permissions boundary"),
    "session": ("session policy", "a session policy"),
    "resource": ("resource-based policy", "a resource-based policy"),
}
INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105
EXPIRED_TOKEN = "The security token included in the request is expired"  # noqa: S105
# Protocol → code and status of a refusal, of an unknown access key, of an expired session.
_CODES: Mapping[str, tuple[tuple[str, int], tuple[str, int], tuple[str, int]]] = {
    "json": (("AccessDeniedException", 400), ("UnrecognizedClientException", 400), ("ExpiredTokenException", 400)),
    "rest-json": (("AccessDeniedException", 403), ("UnrecognizedClientException", 403), ("ExpiredTokenException", 403)),
    "query": (("AccessDenied", 403), ("InvalidClientTokenId", 403), ("ExpiredToken", 403)),
    "ec2": (("UnauthorizedOperation", 403), ("AuthFailure", 401), ("RequestExpired", 400)),
    "rest-xml": (("AccessDenied", 403), ("InvalidAccessKeyId", 403), ("ExpiredToken", 400)),
}

# CloudWatch spoke the Query protocol before, and its JSON names that protocol's codes too: clients show those.
_OLD_CODES = {json: query for (json, _), (query, _) in zip(_CODES["json"], _CODES["query"], strict=True)}


def words(caller: str, need: Need, verdict: Verdict) -> str:
    """Who may not do what, and which kind of policy says so."""
    short, long = _KINDS[verdict.by]
    said = f"User: {caller} is not authorized to perform: {need.action}"
    if need.resource != "*" or not need.action.startswith("s3:"):
        said += (
            f' on resource: "{need.resource}"' if need.action.startswith("s3:") else f" on resource: {need.resource}"
        )
    if need.action == "sts:AssumeRole":
        return said  # STS gives no reason
    if verdict.decision == "ExplicitlyDenied":
        return f"{said} with an explicit deny in {long}"
    return f"{said} because no {short} allows the {need.action} action"


def denied(speaks: str, message: str) -> ApiError:
    """The refusal of a request."""
    code, status = _CODES[speaks][0]
    if speaks == "ec2":
        encoded = base64.urlsafe_b64encode(json.dumps({"allowed": False}).encode()).decode()
        message = (
            f"You are not authorized to perform this operation. {message}. Encoded authorization failure message: "
            f"{encoded}"
        )
    return ApiError(code, message, status)


def unknown_key(speaks: str) -> ApiError:
    """The refusal of an access key that nobody has."""
    code, status = _CODES[speaks][1]
    messages = {
        "rest-xml": "The AWS Access Key Id you provided does not exist in our records.",
        "ec2": "AWS was not able to validate the provided access credentials",
    }
    return ApiError(code, messages.get(speaks, INVALID_TOKEN), status)


def expired(speaks: str) -> ApiError:
    """The refusal of a session that has expired."""
    code, status = _CODES[speaks][2]
    messages = {"rest-xml": "The provided token has expired.", "ec2": "Request has expired."}
    return ApiError(code, messages.get(speaks, EXPIRED_TOKEN), status)


def unsigned(speaks: str) -> ApiError:
    """The refusal of a request without a signature."""
    if speaks == "rest-xml":
        return ApiError("AccessDenied", "Access Denied", 403)
    return ApiError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def response(speaks: str, error: ApiError, *, signing_name: str = "", head: bool = False) -> Response:
    """The error as the protocol sends it. `head`: the request was a HEAD, whose answer has no body."""
    if speaks == "ec2":
        return query_error(error)
    identity, status = str(uuid.uuid4()), error.status or 400
    if speaks in ("json", "rest-json"):
        body = {"__type": error.code, "message": error.message, "Message": error.message}
        headers = {
            "x-amzn-RequestId": identity,
            "x-amzn-ErrorType": error.code,
            "Content-Type": "application/x-amz-json-1.1" if speaks == "json" else "application/json",
        }
        if signing_name == "monitoring" and error.code in _OLD_CODES:
            headers["x-amzn-query-error"] = f"{_OLD_CODES[error.code]};Sender"
        return Response(status=status, headers=headers, body=json.dumps(body).encode())
    text = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if speaks == "query":
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type>{text}</Error><RequestId>{identity}</RequestId></ErrorResponse>"
        )
        return Response(status=status, headers={"Content-Type": "text/xml"}, body=text.encode())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}<RequestId>{identity}</RequestId></Error>'
    headers = {"Content-Type": "application/xml", "x-amz-request-id": identity}
    return Response(status=status, headers=headers, body=b"" if head else text.encode())
